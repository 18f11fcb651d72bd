from .cluster import (
    ROLES as ROLES,
    TASK_VARIABLE as TASK_VARIABLE,
    Cluster as Cluster,
    Role as Role,
)
from .conversion import (
    KIND_NAMES as KIND_NAMES,
    argument_type as argument_type,
    convert_value as convert_value,
    without_quotes as without_quotes,
)
from .data_options import (
    class_count as class_count,
    feature_names as feature_names,
    image_size as image_size,
    pixel_range as pixel_range,
)
from .early_stop import EarlyStop as EarlyStop
from .errors import (
    PEER_CODE as PEER_CODE,
    RETRY_CODE as RETRY_CODE,
    DataError as DataError,
    PeerError as PeerError,
    RetryableError as RetryableError,
    UserError as UserError,
)
from .flags import (
    add_flags as add_flags,
    flags_of as flags_of,
    from_flags as from_flags,
    job_from_flags as job_from_flags,
)
from .hparams import Hparams as Hparams
from .job import DEFAULT_PORT as DEFAULT_PORT, Job as Job
from .metric_goal import MetricGoal as MetricGoal
from .options import (
    Option as Option,
    flag_of as flag_of,
    option as option,
    option_types as option_types,
    options_of as options_of,
)
from .parser import Parser as Parser
from .registry import NamesOf as NamesOf, Registry as Registry
from .splits import (
    PART_WORDS as PART_WORDS,
    PARTS_OF as PARTS_OF,
    TEST_PARTS as TEST_PARTS,
    Part as Part,
    Split as Split,
    part_of as part_of,
    split_words as split_words,
)
from .step_window import step_range as step_range
from .suggest import closest_name as closest_name, suggestion as suggestion
from .team import (
    ResolvedOptions as ResolvedOptions,
    TeamSettings as TeamSettings,
    find_team_settings as find_team_settings,
    resolve_options as resolve_options,
)
from .trial import DEFAULT_FILE as DEFAULT_FILE, DEFAULT_TAG as DEFAULT_TAG, Trial as Trial
