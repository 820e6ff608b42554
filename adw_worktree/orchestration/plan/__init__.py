"""Documents that describe a feature and its phases."""
