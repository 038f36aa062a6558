"""Receiving: what gateways say later of messages that they accepted."""
