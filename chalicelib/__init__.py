"""Message Service: mailings to clients through an external gateway, on AWS Lambda."""
