"""What agents of a star or between peers share."""
