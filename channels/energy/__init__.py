"""Power of radios and interfaces in each state."""
