"""The built-in models with their recipes, and the loader of users' modules.

May import config, runtime, storage and data.
Others import from here, not from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
