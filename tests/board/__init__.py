"""The board: its page, its API, and who may use it."""
