from . import (
    cuda as cuda,
    device as device,
    host_limits as host_limits,
    live_bar as live_bar,
    log as log,
    output as output,
    precision as precision,
)
from .device import Device as Device, device_in_use as device_in_use
from .display import display_value as display_value, printable as printable, shortened as shortened
from .error_text import (
    error_message as error_message,
    message_lines as message_lines,
    typed_message as typed_message,
)
from .json_lines import (
    formatted as formatted,
    is_json_line as is_json_line,
    message_of as message_of,
    with_process as with_process,
)
from .nvidia_smi import NvidiaSmiError as NvidiaSmiError, query_gpus as query_gpus
from .output_writer import (
    OutputWriter as OutputWriter,
    dropped_lines_warning as dropped_lines_warning,
    lost_output_warning as lost_output_warning,
    output_writers as output_writers,
)
from .precision import (
    BF16_FLAGS as BF16_FLAGS,
    POLICIES as POLICIES,
    default_precision as default_precision,
)
from .processor import read_processor as read_processor
from .secrets import mask as mask
from .secrets.collect import known_secrets as known_secrets
from .secrets.mask import (
    MASK as MASK,
    mask_text as mask_text,
    mask_value as mask_value,
    masked_argv as masked_argv,
    masked_environment as masked_environment,
)
from .std_streams import Streams as Streams, guarded_streams as guarded_streams
from .stop import (
    StopRequest as StopRequest,
    handling_stop_signals as handling_stop_signals,
    reinstall_stop_handlers as reinstall_stop_handlers,
)
from .tensorflow import import_tensorflow as import_tensorflow
from .versions import install_command as install_command, installed_version as installed_version
from .waiting import (
    ALWAYS_PATIENT as ALWAYS_PATIENT,
    Patience as Patience,
    StoppedError as StoppedError,
    log_waiting as log_waiting,
    never_stopped as never_stopped,
)
