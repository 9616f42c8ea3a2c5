"""What the cameras' pictures show."""
