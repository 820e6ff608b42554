"""How fast the tool is beside raw git and its peers: `nox -s bench`, or `python -m benchmarks`."""
