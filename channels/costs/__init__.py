"""Cost models: what a message costs, as CAT sees it."""
