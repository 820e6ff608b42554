"""What writes the parts of the documentation that the code knows, and its pictures."""
