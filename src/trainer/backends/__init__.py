"""The services and engines that jobs are submitted to, and what becomes of the jobs there.

May import all packages but cli and endpoints.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
