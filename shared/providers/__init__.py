"""The providers, one file each, in an explicit registry."""
