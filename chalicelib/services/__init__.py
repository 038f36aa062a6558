"""Use cases: what the service does for people and for queues."""
