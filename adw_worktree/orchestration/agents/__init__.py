"""Agents: the programs that take a prompt and work; how each is called, and what it prints."""
