"""Scripts and notebooks of other SDKs, read without running them, as commands of `trainer`.

May import all packages but cli.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
