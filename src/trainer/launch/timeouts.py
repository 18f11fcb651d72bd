"""The times of a job of several processes, all in one place.

Every value is in seconds. The launcher hands one `Timeouts` down to the coordinator, its clients,
the agent and the supervisor; tests hand down shorter ones.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Times for which launchers wait for each other and for their processes."""

    # ---- heartbeats between hosts

    heartbeat_hold: float = 1.0
    """The coordinator delays its response to a heartbeat for this long while it has no news, so
    that news reaches the client at once."""
    heartbeat_slack: float = 1.0
    """The client waits this much longer than `heartbeat_hold` for a response. Two heartbeats fit
    into the time in which the kernel notices a broken connection."""
    silent_after: float = 1.6
    """A host without a heartbeat for this long is taken as the root cause of a secondary failure,
    and its place may be taken; healthy hosts send one every `heartbeat_hold` seconds."""
    lost_after: float = 5.0
    """A host without a heartbeat, or a coordinator without a response, for this long is lost."""
    hung_after: float = 60.0
    """The same while its keepalive connection stands: its launcher is starved of CPU, or hangs."""

    # ---- requests of clients to the coordinator

    request: float = 2.0
    """A client gives up an attempt to connect, to join or to report after this time."""
    retry_pause: float = 0.25
    """A client pauses this long between two attempts."""
    progress: float = 10.0
    """A launcher prints this often which hosts it is waiting for."""
    farewell: float = 2.0
    """A client that leaves gives its last reports this long to be sent, and its threads to end."""
    leave: float = 8.0
    """A client repeats its last request for this long while the coordinator's host is there."""
    keepalive_poll: float = 0.5
    """The coordinator checks this often whether it is to close the keepalive connections."""
    request_read: float = 10.0
    """The coordinator's server closes a connection that has not sent its request by this time."""
    tick: float = 0.25
    """The coordinator looks this often for lost hosts and for deadlines that have passed."""

    # ---- decisions of the coordinator

    settle: float = 2.0
    """After a secondary failure the coordinator waits this long for a report of the root cause."""
    gather: float = 10.0
    """Once two hosts differ, the others get this long to come and receive why the job fails."""
    evaluator_delay: float = 5.0
    """An evaluator that no list names may join until this long after the start of the job."""

    # ---- processes of one host, from SIGTERM to SIGKILL

    failure_grace: float = 2.0
    """Processes get this long when the job has failed: a rank inside a collective cannot react."""
    server_grace: float = 5.0
    """Parameter servers and their workers get this long when the chief has ended well."""
    trainer_grace: float = 30.0
    """Processes that train beside the chief get this long to end by themselves after it."""
    evaluator_grace: float = 60.0
    """An evaluator gets this long for the last checkpoint when the chief has ended well."""
    sibling_grace: float = 10.0
    """Processes get this long, and no more than the job's own grace, when another process of the
    same host has failed, or when they were left behind by their parents."""
    step_grace: float = 5.0
    """A process that prepares a run, such as pip, gets this long: it has nothing to save yet."""
    chief_stop: float = 5.0
    """A worker's host that is to stop waits this long for the chief to be stopped too, before it
    leaves alone."""
    kill: float = 5.0
    """SIGKILL gets this long to work: it does not on a process that waits for a lost disk."""
    output_stall: float = 5.0
    """At the end, the reader of this launcher's output gets this long between two reads."""

    # ---- before and after the run

    data_notice: float = 10.0
    """The launcher prints this often that reading the data's files takes long."""
    announcement: float = 10.0
    """A host that cannot start waits this long for the others, to send them the reason."""
    departure_slack: float = 1.0
    """The chief's launcher waits this much longer for the others to leave than they may need."""

    @property
    def takeover(self) -> float:
        """A member that is heard of for this long lives; one that has died falls silent before."""
        return 2 * self.silent_after

    @property
    def departure(self) -> float:
        """The chief's launcher waits this long for the others to leave after a failure."""
        return self.failure_grace + self.settle + self.departure_slack


DEFAULTS = Timeouts()
