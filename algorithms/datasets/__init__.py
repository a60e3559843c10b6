"""Datasets: what a learning problem is fed with."""
