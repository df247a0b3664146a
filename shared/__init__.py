"""What both halves reach, and nothing else: words, tables, the inbox, signing, providers, destinations."""

__version__ = "0.1.0"
