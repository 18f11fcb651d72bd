from . import failure_file as failure_file, mpi_output as mpi_output, pip as pip, plan as plan
from .agent import PATIENCE as PATIENCE, Part as Part
from .agreement import flags as flags
from .announce import announcing as announcing, announcing_flags as announcing_flags
from .host_settings import HostSettings as HostSettings, Value as Value, plain as plain
from .launcher import (
    Host as Host,
    check as check,
    launch as launch,
    preview as preview,
    run_host as run_host,
)
from .network import free_ports as free_ports, interface_of as interface_of
from .plan import Process as Process, several as several
from .rendezvous.client import Peers as Peers
from .rendezvous.failure import Cause as Cause, is_echo as is_echo
from .supervise import orphans as orphans
from .supervise.api import run_step as run_step, run_supervised as run_supervised
from .supervise.command import Command as Command, Outcome as Outcome
from .supervise.orphans import end_with_parent as end_with_parent
from .supervise.policy import Rules as Rules
from .supervise.process import Child as Child
from .supervise.signals import ending as ending
from .supervise.supervisor import Run as Run
