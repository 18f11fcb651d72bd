"""Models as files: SavedModels, archives, conversion, inspection.

May import whatever launch may, and launch.
Others import from here, not from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
