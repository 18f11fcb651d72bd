from .backend import (
    Backend as Backend,
    JobStatus as JobStatus,
    Tuning as Tuning,
)
from .engine.client import CLIENTS as CLIENTS, Engine as Engine, find_engine as find_engine
from .fetching import fetch_job as fetch_job
from .follow import Follower as Follower, exit_code_of as exit_code_of
from .inputs import Upload as Upload, plan_uploads as plan_uploads
from .local_jobs import run_here as run_here, without_bucket as without_bucket
from .registry import BACKENDS as BACKENDS
from .submission import make_submission as make_submission
from .submit_options import SubmitOptions as SubmitOptions
