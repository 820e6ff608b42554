"""From a plan to merged work: features, their phases, and the processes that carry them."""
