"""Sending: hints are claimed, the gateway is called, and what came of it is recorded."""
