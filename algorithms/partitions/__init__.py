"""Partitions: which node holds which samples."""
