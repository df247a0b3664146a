"""The doctor: what is checked, and what to do about what is found."""
