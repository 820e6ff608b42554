"""The rules of phases: states, dependencies, order. Pure: no file, no clock, no process."""
