from . import script_cluster as script_cluster
from .mpi import settings as settings
from .mpi.host import MpiSettings as MpiSettings
from .script_cluster import ScriptCluster as ScriptCluster
from .script_gpu import gpu_warning as gpu_warning
from .script_mode import (
    NAME as NAME,
    arguments as arguments,
    interpreter as interpreter,
    prepare as prepare,
)
from .script_model import model_warning as model_warning
