"""The commands, one file a noun; each file's click command is `command`."""
