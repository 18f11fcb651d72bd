"""`trainer doctor` and `--dry-run`: what a run would find.

May import all packages but cli.
Others import from here, not from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
