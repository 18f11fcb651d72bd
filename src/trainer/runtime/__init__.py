"""The state of one process: TensorFlow, devices, signals, output, log, secrets.

May import config.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
