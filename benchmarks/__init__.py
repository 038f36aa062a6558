"""Measurements of what the service costs and how fast it is; not part of the Lambda zip."""
