from . import (
    cuda as cuda,
    device as device,
    host_limits as host_limits,
    log as log,
    output as output,
    precision as precision,
)
from .device import Device as Device, used as used
from .log import Reporter as Reporter
from .output_writer import (
    OutputWriter as OutputWriter,
    not_read as not_read,
    output_writers as output_writers,
)
from .precision import BF16_FLAGS as BF16_FLAGS, POLICIES as POLICIES
from .secrets import mask as mask
from .secrets.collect import known as known
from .secrets.mask import (
    MASK as MASK,
    mask_text as mask_text,
    mask_value as mask_value,
    masked as masked,
    masked_argv as masked_argv,
)
from .std_streams import Streams as Streams, guarded as guarded
from .stop import StopRequest as StopRequest, listen_again as listen_again, listening as listening
from .tensorflow import (
    default_precision as default_precision,
    import_tensorflow as import_tensorflow,
)
from .versions import install as install, version as version
from .waiting import (
    PATIENT as PATIENT,
    Patience as Patience,
    StoppedError as StoppedError,
    Tell as Tell,
    never as never,
    telling as telling,
)
