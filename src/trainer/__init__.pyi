from .config import Hparams as Hparams, Job as Job
from .data import load_columns as load_columns, load_data as load_data
from .reporting import read_record as read_record
from .training import train_and_evaluate as train_and_evaluate

__version__: str
