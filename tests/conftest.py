"""What holds for every test: no account of the person who runs it, and no network but this machine."""

from __future__ import annotations

import os

# Before any client or module is made: credentials, profiles and endpoints of the person's own stay out.
for _name in [name for name in os.environ if name.startswith(("AWS_", "GATEWAY_", "POWERTOOLS_"))]:
    del os.environ[_name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
