from trainer.launch.mpi_output import blame, lost, untangle

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


def test_what_mpirun_says_counts_where_the_rank_said_nothing():
    rank, said = blame(["[1,0]<stderr>:a warning", *ENDED])
    assert rank == 1
    assert said[-1] == "  Exit code:    7"


def test_without_a_word_of_mpirun_it_is_the_first_with_a_traceback():
    lines = ["[1,0]<stderr>:a warning", "[1,2]<stderr>:Traceback (most recent call last):"]
    assert blame([*lines, "[1,2]<stderr>:KeyError: 1"])[0] == 2
    assert blame(["[1,0]<stderr>:a warning"]) == (None, ("a warning",))


def test_a_daemon_that_is_gone_is_no_cause():
    assert lost(["ORTE has lost communication with a remote daemon."])
    assert lost(["ORTE was unable to reliably start one or more daemons."])
    assert not lost(ABORT + ENDED + KILLED)
