"""What is measured: a module for each row, from a workshop to scenes."""
