"""The job and its parts: options, flags, hyperparameters, the cluster; and the errors.

Imports no other package of the trainer.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
