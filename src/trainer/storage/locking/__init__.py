"""Locks of folders: a second job is refused before it has written anything."""
