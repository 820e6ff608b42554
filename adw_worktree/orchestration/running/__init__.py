"""The processes that carry phases: coordinator and runners."""
