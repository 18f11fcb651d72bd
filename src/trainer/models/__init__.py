"""The built-in models with their recipes, and the loader of users' modules.

May import config, runtime, storage and data.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
