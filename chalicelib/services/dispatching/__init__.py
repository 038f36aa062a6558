"""Dispatching: mailings are launched, fed to the senders, and ended."""
