"""One run of an attempt: its directory, its processes, and how the coordinator is woken."""
