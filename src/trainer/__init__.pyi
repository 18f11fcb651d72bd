from .config import Hparams as Hparams, Job as Job
from .training import train_and_evaluate as train_and_evaluate

__version__: str
