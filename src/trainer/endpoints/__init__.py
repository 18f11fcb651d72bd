"""Endpoints: models brought to SageMaker, Vertex AI or docker, asked, and taken down again.

May import all but the command line.
Other packages import from this face, never from its modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
