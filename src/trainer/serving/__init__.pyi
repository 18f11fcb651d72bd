from . import settings as settings
from .server import serve as serve
