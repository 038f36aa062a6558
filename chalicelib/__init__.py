"""Message Service: mailings to clients through an external gateway, on AWS Lambda."""

__version__ = "0.1.0"  # shown by /, /health, the admin UI and the stack; see CHANGELOG.md
