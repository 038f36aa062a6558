"""E-mails to the operators: what they look like, and how they leave. No client of a mailing ever gets one."""
