"""Starting the processes of a job on one host or many, and watching them.

May import packages up to models, distribution and platforms.
Others import from here, not from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
