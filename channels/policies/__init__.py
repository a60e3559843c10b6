"""What a radio does while its node takes part in nothing."""
