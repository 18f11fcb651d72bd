"""The platforms: from environment, arguments and files to a Job.

May import config, runtime, storage, data, models and distribution.
Others import from here, not from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
