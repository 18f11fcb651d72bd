"""The job and what it is made of: options, flags, cluster, errors.

Imports nothing of the trainer.
Others import from here, not from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
