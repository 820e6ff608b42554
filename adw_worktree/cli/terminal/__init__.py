"""What a terminal shows: tables, maps, live views."""
