"""The destinations, one file each, in an explicit registry."""
