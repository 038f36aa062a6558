"""The external services that send messages: one file each, all behind `base.Gateway`."""
