"""Who may use the board: keys, and the door before everything that it answers."""
