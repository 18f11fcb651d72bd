from .cloud import (
    sagemaker_definition as sagemaker_definition,
    vertex_definition as vertex_definition,
)
from .search import Search as Search, run_search as run_search
from .space import read_space as read_space
