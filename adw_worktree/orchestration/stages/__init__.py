"""The stages of a phase: each kind of them, and the order in which an attempt goes through them."""
