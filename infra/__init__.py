"""Everything that creates and runs the environment of the service; not part of the Lambda package."""
