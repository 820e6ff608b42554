"""Slots and leases: who holds what on this machine, and what became of it."""
