"""The database of features, phases, attempts and events."""
