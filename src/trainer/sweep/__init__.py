"""The search for good hyperparameters on one machine, and its description for tuning services.

May import all packages but cli and doctor.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
