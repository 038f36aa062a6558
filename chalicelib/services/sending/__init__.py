"""Sending: claims the messages of hints, calls the gateway, and records the outcomes."""
