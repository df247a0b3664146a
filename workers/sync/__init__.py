"""Calls to providers: webhooks registered there, their data read. Nothing here serves HTTP or holds a transaction."""
