"""Containers of this machine that answer requests."""
