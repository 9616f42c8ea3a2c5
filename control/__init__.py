"""What should be done about traffic and water; decides, and does no I/O."""
