"""The operations wall."""
