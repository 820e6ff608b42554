"""Gates: from an item of a checklist to a checker, and from that to a verdict with evidence."""
