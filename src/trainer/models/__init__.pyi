from . import loader as loader, mnist as mnist, recipes as recipes
from .default_signatures import LENGTH as LENGTH, inputs_of as inputs_of
from .mnist import (
    input_fn as input_fn,
    keras_model as keras_model,
    serving_input_fn as serving_input_fn,
    serving_samples as serving_samples,
)
from .model_module import ModelModule as ModelModule
from .module_hparams import not_stated as not_stated, own_hparams as own_hparams
from .module_source import (
    find_module as find_module,
    has_own_reader as has_own_reader,
    is_path as is_path,
    module_file as module_file,
    source_files as source_files,
)
from .registry import MODELS as MODELS
from .user_function import describe as describe, is_foreign as is_foreign
