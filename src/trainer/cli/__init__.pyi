from . import container as container, entry as entry
from .command_line import main as main
