"""What beat asks for: waking, recovering, retaining."""
