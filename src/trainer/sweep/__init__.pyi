from .cloud import (
    sagemaker_definition as sagemaker_definition,
    vertex_definition as vertex_definition,
)
from .page import render_sweep as render_sweep
from .record import SweepRecord as SweepRecord, TrialRecord as TrialRecord
from .search import Search as Search, run_search as run_search
from .space import Space as Space, read_space as read_space
