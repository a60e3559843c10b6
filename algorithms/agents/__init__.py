"""Agents: one paper each."""
