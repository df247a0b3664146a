"""Carrying out what privacy laws give people: to see their data, and to have it forgotten."""
