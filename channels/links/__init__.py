"""Links: one technology each."""
