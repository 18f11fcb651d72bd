from . import (
    failure_file as failure_file,
    mpi_output as mpi_output,
    pip as pip,
    plan as plan,
)
from .agent import HostAgent as HostAgent, HostCommands as HostCommands
from .agreement import compared_flags as compared_flags
from .announce import (
    announcing_mistakes as announcing_mistakes,
    announcing_wrong_flags as announcing_wrong_flags,
)
from .host_settings import (
    HostSettings as HostSettings,
    StatedValue as StatedValue,
    public_value as public_value,
)
from .launcher import (
    check_job as check_job,
    launch as launch,
    preview_commands as preview_commands,
    run_host as run_host,
)
from .local_host import HostGroup as HostGroup, LocalHost as LocalHost
from .network import free_ports as free_ports, interface_of as interface_of
from .plan import needs_launcher as needs_launcher
from .rendezvous.client import CoordinatorClient as CoordinatorClient
from .rendezvous.failure import Failure as Failure, is_secondary as is_secondary
from .rendezvous.messages import Start as Start, Stopping as Stopping
from .server_agent import ServerAgent as ServerAgent
from .supervise import orphans as orphans
from .supervise.api import run_step as run_step, run_supervised as run_supervised
from .supervise.command import Command as Command, Outcome as Outcome
from .supervise.orphans import end_with_parent as end_with_parent
from .supervise.policy import Policy as Policy, ProcessControl as ProcessControl
from .supervise.process import ManagedProcess as ManagedProcess
from .supervise.signals import exiting_on_sigterm as exiting_on_sigterm
from .timeouts import Timeouts as Timeouts
