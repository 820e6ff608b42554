"""How phases are handed over, beside other ways of running one command after another."""
