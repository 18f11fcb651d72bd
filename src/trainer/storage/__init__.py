"""Files on disk and in object stores: whole writes, transfers, archives, locks.

May import config and runtime.
Others import from here, not from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
