"""The process: TensorFlow's start, devices, signals, output, secrets, waiting.

May import config.
Others import from here, not from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
