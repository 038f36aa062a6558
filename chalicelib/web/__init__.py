"""What the REST API and the admin UI share: requests, reading and checking them, problems, pages of lists."""
