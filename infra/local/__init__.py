"""The embedded environment: emulator, event sources, HTTP front and sandbox gateway on one machine."""
