"""The other commands: probe, fit-cost, measure, data, list."""
