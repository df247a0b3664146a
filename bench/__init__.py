"""The pipeline benchmark: `python -m bench`."""
