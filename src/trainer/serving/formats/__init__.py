"""Formats of requests and responses; `registry` has the table of each."""
