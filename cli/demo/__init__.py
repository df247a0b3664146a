"""The demo: webhooks, good and bad, through the whole way, and a reckoning at the end."""
