"""The platforms, each of which makes a Job of its environment, arguments and files.

May import models, distribution and the packages below them.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
