"""How good the flood forecast is: storms in the simulated city, forecast from its gauges alone."""
