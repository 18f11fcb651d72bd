from . import dry_run as dry_run
from .examination import examine as examine
