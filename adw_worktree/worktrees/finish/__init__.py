"""Merging a branch back, where nobody works."""
