"""The checks of `trainer doctor` and of `--dry-run`, made before anything is trained.

May import all packages but cli.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
