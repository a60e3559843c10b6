"""Links beside ns-3, SimGrid and theory; ``make validation`` writes docs/validation.md."""
