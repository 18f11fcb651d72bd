"""The record of a run, `metrics.json`, and the pages that are made of one or several.

May import launch and the packages below it.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
