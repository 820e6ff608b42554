"""How quickly the board shows what happens."""
