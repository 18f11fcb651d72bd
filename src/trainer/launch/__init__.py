"""Starting processes, watching them, passing signals on, ending all of them."""
