"""Cost models that links and cost components hand out; public, for plugins."""
