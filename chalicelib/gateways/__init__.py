"""The external services that take messages: one file each, all behind `base.Gateway`."""
