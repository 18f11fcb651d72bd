"""Users' scripts under mpirun, on the hosts of a SageMaker job.

Inside this package import from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["settings"])
