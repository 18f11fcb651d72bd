"""SageMaker: what its containers find, and the requests that start them.

Inside `trainer.platforms` import from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
