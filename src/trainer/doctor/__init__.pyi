from . import dry_run as dry_run
from .examination import run_doctor as run_doctor
