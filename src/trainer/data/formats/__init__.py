"""The formats of data files: one module each, listed in `registry`, read as tables."""
