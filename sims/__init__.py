"""The simulated city, on real protocols only."""
