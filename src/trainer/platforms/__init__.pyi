from . import sagemaker as sagemaker
from .base import (
    Environment as Environment,
    Platform as Platform,
    PlatformSettings as PlatformSettings,
)
from .coerce import coerce_value as coerce_value, field_of as field_of
from .container_start import ContainerStart as ContainerStart
from .google.container import vertex_containers as vertex_containers
from .google.options import VertexOptions as VertexOptions
from .google.request import (
    VertexKind as VertexKind,
    VertexRequest as VertexRequest,
    custom_job as custom_job,
)
from .gpus import (
    gpu_evidence as gpu_evidence,
    gpu_files as gpu_files,
    gpus_are_hidden as gpus_are_hidden,
    missing_gpu_warning as missing_gpu_warning,
)
from .job_secret import (
    SECRET_VARIABLE as SECRET_VARIABLE,
    is_secret as is_secret,
    read_secret as read_secret,
)
from .kubernetes.container import kubernetes_containers as kubernetes_containers
from .kubernetes.names import (
    INSTANCE_LABEL as INSTANCE_LABEL,
    MANAGED_BY_LABEL as MANAGED_BY_LABEL,
    OUTPUT_ANNOTATION as OUTPUT_ANNOTATION,
    QUEUE_LABEL as QUEUE_LABEL,
    SECRET_KEY as SECRET_KEY,
)
from .kubernetes.options import KubernetesOptions as KubernetesOptions
from .kubernetes.request import (
    KubernetesRequest as KubernetesRequest,
    kubernetes_request as kubernetes_request,
)
from .kubernetes.volumes import volume_folders as volume_folders
from .registry import PLATFORMS as PLATFORMS, detect_platform as detect_platform
from .resolve import ResolvedJob as ResolvedJob, resolve_job as resolve_job
from .sagemaker.files import (
    framework_parameters as framework_parameters,
    hyperparameters as hyperparameters,
)
from .sagemaker.options import SageMakerOptions as SageMakerOptions
from .sagemaker.request import TENSORBOARD as TENSORBOARD, TrainingRequest as TrainingRequest
from .sagemaker.switches import (
    MULTI_WORKER_MIRRORED as MULTI_WORKER_MIRRORED,
    PARAMETER_SERVER as PARAMETER_SERVER,
    active_switch as active_switch,
)
from .submission import (
    INPUTS as INPUTS,
    Submission as Submission,
    given_options as given_options,
)
