"""Receiving: handles what gateways report later about messages that they accepted, and replies."""
