"""A user's own script on SageMaker: script mode, mpirun, parameter servers.

May import whatever packaging may, and packaging.
Others import from here, not from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
