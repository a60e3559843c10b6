"""One run: agents and media on one clock."""
