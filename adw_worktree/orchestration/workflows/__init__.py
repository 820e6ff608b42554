"""Workflows: named lists of stages, from the settings or built in, with their prompts."""
