"""What `--json` prints: a pydantic model for each document."""
