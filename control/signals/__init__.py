"""Signal timing, and the safety layer that has the last word."""
