"""Data sets: files and formats, order, streams, pipelines, the MNIST download.

May import config, runtime and storage.
Others import from here, not from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
