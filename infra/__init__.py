"""Everything that creates and runs the service's surroundings; never part of the Lambda package."""
