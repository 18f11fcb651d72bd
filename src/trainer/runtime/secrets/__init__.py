"""Secrets: found by the names beside them or by their looks, and masked in all that is printed."""
