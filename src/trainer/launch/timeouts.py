"""The times of a job of several processes, all in one place: who waits how long for whom.

Every value is in seconds. The launcher hands one `Timeouts` down to the coordinator, its clients,
the agent and the supervisor; tests hand down shorter ones.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long launchers wait for each other and for their processes."""

    # ---- heartbeats between hosts

    heartbeat_hold: float = 1.0
    """The coordinator holds back its response to a heartbeat so long while there is no news."""
    heartbeat_slack: float = 1.0
    """A client waits for that response so much longer than it is held back. Two heartbeats fit
    into the time in which the kernel finds a connection broken."""
    silent_after: float = 1.6
    """A host without a heartbeat for so long counts as the root cause of a secondary failure, and
    its place may be taken; healthy hosts send one every `heartbeat_hold` seconds."""
    lost_after: float = 5.0
    """A host or coordinator without a heartbeat, or response to one, for so long is lost."""
    hung_after: float = 60.0
    """The same where its keepalive connection stands: its launcher is starved of CPU, or hangs."""

    # ---- requests from a client to the coordinator

    request: float = 2.0
    """A client gives up one attempt to connect, to join or to report after so long."""
    retry_pause: float = 0.25
    """A client pauses so long between two attempts."""
    progress: float = 10.0
    """Launchers print so often for whom they are waiting."""
    farewell: float = 2.0
    """A client waits so long for its last reports to be sent, and for its threads to end."""
    leave: float = 8.0
    """A client repeats its last request so long while the coordinator's host is there."""
    keepalive_poll: float = 0.5
    """The coordinator looks so often whether it is to close the keepalive connections."""
    request_read: float = 10.0
    """The coordinator's server cuts off a client that has not sent its request after so long."""
    tick: float = 0.25
    """The coordinator looks so often for lost hosts and for deadlines."""

    # ---- decisions of the coordinator

    settle: float = 2.0
    """A secondary failure waits so long for the root cause to be reported."""
    gather: float = 10.0
    """Once two hosts differ, the others have so long to come and hear why the job cannot start."""
    evaluator_delay: float = 5.0
    """An evaluator that no list names counts as started together with the listed hosts when it
    joins up to so long after the start."""

    # ---- how a host ends its processes (from SIGTERM to SIGKILL)

    failure_grace: float = 2.0
    """For processes when the job has failed: a rank inside a collective cannot react."""
    server_grace: float = 5.0
    """For parameter servers and their workers, when the chief has ended well."""
    trainer_grace: float = 30.0
    """For those that train beside the chief to end by themselves, when it has ended well."""
    evaluator_grace: float = 60.0
    """For an evaluator to look at the last checkpoint, when the chief has ended well."""
    sibling_grace: float = 10.0
    """For processes that end because another one on the same host failed, or that were left
    behind; at most the job's own grace."""
    step_grace: float = 5.0
    """For a process that prepares a run, such as pip: it has nothing to save yet."""
    chief_stop: float = 5.0
    """A worker's host that is to stop waits so long for the chief to be stopped too, before it
    leaves alone."""
    kill: float = 5.0
    """SIGKILL has so long to work; it does not on a process that waits for a lost network disk."""
    output_stall: float = 5.0
    """Whoever reads our output has so long to read on, when all else is done."""

    # ---- before and after the run

    data_notice: float = 10.0
    """The launcher prints so often that a look at the data takes long."""
    announcement: float = 10.0
    """A host that cannot start waits so long for the others, to tell them why."""
    departure_slack: float = 1.0
    """The chief's launcher waits so much longer for the others to leave than they may need."""

    @property
    def takeover(self) -> float:
        """A member that is heard of for so long lives; one that died just before would not be."""
        return 2 * self.silent_after

    @property
    def departure(self) -> float:
        """The other hosts have so long to end their processes after a failure, and to hear why."""
        return self.failure_grace + self.settle + self.departure_slack


DEFAULTS = Timeouts()
