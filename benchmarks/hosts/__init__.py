"""Many hosts on one store: handovers, transitions a second, and the load of the server."""
