"""Data sets that TensorFlow reads by its own operations, for servers without Python."""
