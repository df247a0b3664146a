"""The `crossdock` command."""
