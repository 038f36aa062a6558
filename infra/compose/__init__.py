"""What docker-compose.yml runs and mounts, beside the service's own files."""
