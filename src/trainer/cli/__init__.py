"""The command line: one module for each verb, and the entry of a container.

May import all other packages.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
