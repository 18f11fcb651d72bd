"""Supervising the processes of one host: start, watch, signal, reap, and pass on output.

Inside this package import from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["orphans"])
