from trainer.launch import failure_file
from trainer.launch.mpi_output import blame, lost, signal_of, untangle, without_help
from trainer.launch.supervise.command import Outcome

ABORT = [
    "-" * 74,
    "MPI_ABORT was invoked on rank 12 in communicator MPI_COMM_WORLD",
    "with errorcode 1.",
    "-" * 74,
]
ENDED = [
    "mpirun detected that one or more processes exited with non-zero status, thus causing",
    "the job to be terminated. The first process to do so was:",
    "",
    "  Process name: [[12836,1],1]",
    "  Exit code:    7",
]
KILLED = [
    "mpirun noticed that process rank 3 with PID 17 on node algo-2 exited on signal 9 (Killed)."
]


def test_pieces_that_were_written_at_once_go_to_those_who_wrote_them():
    lines = [
        "[1,1]<stderr>:Traceback (most recent call last):",
        '[1,1]<stderr>:  File "a.py", line 1[1,12]<stderr>:first of twelve',
        "[1,12]<stderr>:sec[1,1]<stderr>:, in f",
        "[1,12]<stderr>:ond",
        "[1,1]<stderr>:ValueError: x",
        "mpirun's own",
    ]
    assert untangle(lines) == {
        1: [
            "Traceback (most recent call last):",
            '  File "a.py", line 1, in f',
            "ValueError: x",
        ],
        12: ["first of twelve", "second"],
        None: ["mpirun's own"],
    }


def test_a_tag_at_the_end_of_a_line_belongs_to_the_line_that_it_ends():
    lines = ["[1,0]<stderr>:one[1,0]<stderr>:", "[1,0]<stderr>:two"]
    assert untangle(lines) == {0: ["one", "two"]}


def test_nothing_is_nothing():
    assert untangle([]) == {}
    assert blame([]) == (None, ())


def test_the_rank_that_mpirun_names_is_to_blame():
    lines = ["[1,3]<stderr>:of three", "[1,12]<stderr>:ValueError: of twelve", *ABORT]
    assert blame(lines) == (12, ("ValueError: of twelve",))
    assert blame(["[1,3]<stderr>:Killing", *KILLED]) == (3, ("Killing",))


def test_a_rank_that_said_nothing_has_no_words_of_others():
    assert blame(["[1,0]<stderr>:a warning", *ENDED]) == (1, ())


def test_without_a_word_of_mpirun_it_is_the_first_with_a_traceback():
    lines = ["[1,0]<stderr>:a warning", "[1,2]<stderr>:Traceback (most recent call last):"]
    assert blame([*lines, "[1,2]<stderr>:KeyError: 1"])[0] == 2
    assert blame(["[1,0]<stderr>:a warning"]) == (None, ("a warning",))


def test_a_daemon_that_is_gone_is_no_cause():
    assert lost(["ORTE has lost communication with a remote daemon."])
    assert lost(["ORTE was unable to reliably start one or more daemons."])
    assert not lost(ABORT + ENDED + KILLED)


RULE = "-" * 74
SLOTS = [
    RULE,
    "There are not enough slots available in the system to satisfy the 4",
    "slots that were requested by the application:",
    "",
    "  python3",
    "",
    "Either request fewer slots for your application, or make more slots",
    "available for use.",
    "",
    'A "slot" is the Open MPI term for an allocatable unit where we can',
    "launch a process. Please fix it and try again.",
    RULE,
]
EXECUTABLE = [
    RULE,
    "mpirun was unable to launch the specified application as it could not access",
    "or execute an executable:",
    "",
    "Executable: train",
    "Node: algo-1",
    "",
    "while attempting to start process rank 0.",
    RULE,
]
SEGFAULT = [
    "[1,1]<stderr>:[algo-1:00123] *** Process received signal ***",
    "[1,1]<stderr>:[algo-1:00123] Signal: Segmentation fault (11)",
    "[1,1]<stderr>:[algo-1:00123] Signal code: Address not mapped (1)",
    "[1,1]<stderr>:[algo-1:00123] Failing at address: (nil)",
    *(
        f"[1,1]<stderr>:[algo-1:00123] [{n:2}] /lib/x86_64-linux-gnu/libc.so.6(+0x3050)[0x7f3a{n}]"
        for n in range(20)
    ),
    "[1,1]<stderr>:[algo-1:00123] *** End of error message ***",
    RULE,
    "Primary job  terminated normally, but 1 process returned",
    "a non-zero exit code. Per user-direction, the job has been aborted.",
    RULE,
    RULE,
    "mpirun noticed that process rank 1 with PID 123 on node algo-1 exited on signal 11 "
    "(Segmentation fault).",
    RULE,
]


# As UCX says it, which comes before Open MPI where it is there.
UCX = [
    "[1,1]<stderr>:[algo-1:28   :0:28] Caught signal 11 (Segmentation fault: address not mapped)",
    "[1,1]<stderr>:==== backtrace (tid:     28) ====",
    "[1,1]<stderr>: 0  /opt/lib/libucs.so.0(ucs_handle_error+0x294) [0x7f9483d6ea14]",
    "[1,1]<stderr>:11  /opt/bin/python3(_PyObject_MakeTpCall+0x27b) [0x546dab]",
    "[1,1]<stderr>:14  /opt/bin/python3() [0x5d9ec2]",
    "[1,1]<stderr>:=================================",
]


def reason_of(lines, code=1):
    """What becomes of lines as the rules of a host that runs mpirun do it."""
    rank, kept = blame(lines)
    name = "mpirun" if rank is None else f"rank {rank}"
    outcome = Outcome(code=code, failed=name, signal=signal_of(lines), tail=kept)
    return failure_file.reason_from(outcome).splitlines()


def test_help_of_mpirun_is_told_from_its_beginning_and_without_advice():
    assert reason_of(SLOTS)[0] == (
        "There are not enough slots available in the system to satisfy the 4 slots that were "
        "requested by the application: python3"
    )
    assert reason_of(EXECUTABLE)[0] == (
        "mpirun was unable to launch the specified application as it could not access or execute "
        "an executable: Executable: train Node: algo-1"
    )


def test_help_is_no_reason_where_a_script_runs_mpirun_itself():
    outcome = Outcome(code=1, failed="user script", tail=("starting", *SLOTS))
    assert failure_file.reason_from(outcome).startswith("There are not enough slots available")
    tagged = [
        "[1,1]<stderr>:Traceback (most recent call last):",
        '[1,1]<stderr>:  File "a.py", line 1, in f',
        "[1,1]<stderr>:ValueError: of one",
    ]
    late = [
        line.replace("[1,1]", "[1,0]").replace("ValueError: of one", "OSError: of zero")
        for line in tagged
    ]
    outcome = Outcome(code=1, failed="user script", tail=(*tagged, *late, *ENDED))
    assert failure_file.reason_from(outcome).startswith("ValueError: of one\nat a.py line 1 in f")


def test_tables_of_other_programs_are_left_as_they_are():
    lines = [RULE, "epoch  loss", RULE, "1      0.3", RULE]
    assert without_help(lines) == lines


def test_the_first_to_raise_is_to_blame_though_others_wrote_before_and_after():
    lines = [
        "[1,0]<stderr>:a warning",
        "[1,2]<stderr>:Traceback (most recent call last):",
        "[1,2]<stderr>:KeyError: 1",
        "[1,0]<stderr>:Traceback (most recent call last):",
        "[1,0]<stderr>:OSError: closed",
    ]
    assert blame(lines) == (2, ("Traceback (most recent call last):", "KeyError: 1"))


def test_a_crash_is_told_in_words_and_not_in_addresses():
    assert reason_of(SEGFAULT, code=139) == [
        "rank 1 ended by signal 11, exit code 139 (segmentation fault, in native code)",
        "Signal: Segmentation fault (11) Signal code: Address not mapped (1) Failing at address: "
        "(nil)",
    ]


def test_a_crash_that_ucx_tells_of_is_told_in_words_too():
    assert reason_of([*UCX, *SEGFAULT[-3:]], code=139)[1:] == [
        "Caught signal 11 (Segmentation fault: address not mapped)"
    ]


def test_a_rank_that_was_killed_is_told_with_what_it_may_mean():
    assert reason_of(["[1,3]<stderr>:step=1", *KILLED], code=137) == [
        "rank 3 ended by signal 9, exit code 137 (killed, most likely out of memory: take a larger "
        "instance or smaller batches)"
    ]


def test_a_crash_comes_before_those_who_gave_up_for_lack_of_the_rank():
    crashed = "mpirun noticed that process rank 3 with PID 17 on node a exited on signal 11 (x)."
    assert blame([*ABORT, crashed])[0] == 3
    assert blame([*ABORT, crashed.replace("signal 11", "signal 15")])[0] == 12
