"""What `causeway eval overland` runs: the UK Environment Agency's tests of 2D flood models."""
