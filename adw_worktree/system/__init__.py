"""The machine: files, locks, processes, ports. Knows neither git nor ADWs."""
