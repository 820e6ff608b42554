"""What the board shows: features and phases, logs, and what happens."""
