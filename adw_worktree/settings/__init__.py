"""What may be set, what it means, and what of it a person approved."""
