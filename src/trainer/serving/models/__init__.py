"""Models in memory: found, loaded, called in batches, replaced."""
