"""Data sets: formats, the order of examples, streams, pipelines, the MNIST download.

May import config, runtime and storage.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
