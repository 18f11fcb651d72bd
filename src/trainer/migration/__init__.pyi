from .conversion import migrate as migrate
from .rendering import script_lines as script_lines
