"""Street water and tide: how high, and what level that is."""
