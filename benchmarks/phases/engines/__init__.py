"""Programs that run chains of commands, each in its own way: `python ENGINE.py CHAINS.json`."""
