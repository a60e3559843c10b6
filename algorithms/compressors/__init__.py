"""Compressors: vectors to payload bytes and back."""
