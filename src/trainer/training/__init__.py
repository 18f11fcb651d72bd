"""The training loop with its callbacks, checkpoints, export and report.

May import packaging and the packages below it.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
