"""What the service costs and how fast it is, measured: nothing of this is in the Lambda zip."""
