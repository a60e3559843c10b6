"""Fast paths against what anybody would write first; ``make bench`` prints the table."""
