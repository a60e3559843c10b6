"""Solvers of argmax progress(T) / cost(T)."""
