"""Flows through links that share their rate."""
