from .checkpoint_state import Progress as Progress
from .loop import train_and_evaluate as train_and_evaluate
from .nan_check import check_finite as check_finite
from .optimizers import make_optimizer as make_optimizer
from .preflight import output_dir as output_dir
from .run import run_job as run_job
from .steps import make_train_steps as make_train_steps, reading as reading
from .steps_per_call import StepsPerCall as StepsPerCall
