"""Files on disk and in object stores: writes by rename, transfers, archives, locks.

May import config and runtime.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
