"""Clients of Amazon's and Google's services, whose errors are lines that say what to do.

May import config, runtime and storage.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
