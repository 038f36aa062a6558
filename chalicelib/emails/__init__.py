"""E-mails to operators: what they look like, and how they are sent. Clients never get one."""
