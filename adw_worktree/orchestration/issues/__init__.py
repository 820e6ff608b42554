"""Issues of phases on GitHub: where they are, who may write them, and what each event does."""
