"""One git repository: the one place that runs git, and what git is asked."""
