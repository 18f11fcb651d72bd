"""One job at a time writes to a folder; a second one is refused before it has written anything."""
