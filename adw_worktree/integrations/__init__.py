"""Other programs that call us: git's hooks, agents, service managers."""
