"""`trainer`, `python` and `docker` of a page's home: asks a fork server, or is the real program.

Copied there under these names, behind a line that names the real Python. It only starts: a program
that the server cannot run in its place is run by that Python itself.
"""

# pathlib would take as long to import as all the others.
# ruff: noqa: PTH100, PTH109, PTH118, PTH119, PTH120
import json
import os
import signal
import socket
import sys

REAL = os.environ["DOCS_PYTHON"]
FEW = "2"


def value(words: list[str], name: str) -> int:
    """Return where the value of an option stands, 0 without the option."""
    return words.index(name) + 1 if name in words and words[-1] != name else 0


def quick(words: list[str]) -> list[str]:
    """Return a command of the trainer that takes fewer steps; models of users stay as they are.

    Few steps are enough to see that a line works.
    """
    verb, rest = words[0], words[1:]
    if verb == "submit" and "--" in rest and {"docker", "compose", "--local"} & {*rest}:
        at = words.index("--") + 1
        return [*words[:at], *quick(["train", *words[at:]])[1:]]
    given = {word.partition("=")[0] for word in rest}
    if verb not in ("train", "sweep") or given & {"--print", "--dry-run", "-h", "--help"}:
        return words
    if verb == "sweep":
        if at := value(rest, "--trials"):
            del rest[at - 1 : at + 1]
        rest += ["--trials", FEW]
    if given & {"--module", "--import", "--steps", "--target-accuracy"}:
        return [verb, *rest]
    if at := value(rest, "--epochs"):
        del rest[at - 1 : at + 1]
    at = value(rest, "--profile")
    steps = rest[at].partition(":")[2] if at else FEW
    return [verb, *rest, "--steps", steps]


def arguments() -> list[str]:
    """Return what stands behind `python`, of either program."""
    words = sys.argv[1:]
    if os.path.basename(sys.argv[0]) == "trainer":
        return ["-m", "trainer", *(quick(words) if words else words)]
    while words[:1] in (["-u"], ["-P"]):
        words = words[1:]
    return words


def container(words: list[str]) -> list[str]:
    """Return a command of Docker: a container of the image that is tested, with few steps."""
    names = [word for word in words if word == "trainer:cpu" or ".dkr." in word]
    if words[:1] != ["run"] or not names:
        return words
    at = words.index(names[0])
    options, given = words[1:at], words[at + 1 :]
    if not given or given[0].startswith("-"):
        given = quick(["train", *given])[1:]
    if not {"-d", "--detach"} & {*options}:
        options.append("--rm")
    # The stores are on this machine.
    if any(word.startswith(("s3://", "gs://")) for word in given):
        options += ["--network", "host"]
        for name in os.environ:
            if name.startswith(("AWS_", "STORAGE_", "GOOGLE_")):
                options += ["-e", name]
    return ["run", *options, os.environ["DOCS_IMAGE"], *given]


def forked(words: list[str]) -> bool:
    """Return whether the server runs such a program."""
    if not words or os.environ.get("DOCS_FORKS", "") == "":
        return False
    module = words[0] == "-m" and words[1].split(".")[0] in ("trainer", "benchmarks")
    return module or words[0] == "-c" or not words[0].startswith("-")


def ask(words: list[str]) -> int:
    """Run a program in the server, and return its exit code."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ["DOCS_FORKS"])
    asked = {
        "argv": words, "cwd": os.getcwd(), "env": dict(os.environ), "parent": os.getppid(),
        "executable": os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "python"),
    }  # fmt: skip
    data = json.dumps(asked).encode() + b"\n"
    sent = socket.send_fds(connection, [data], [0, 1, 2])
    connection.sendall(data[sent:])
    answers = connection.makefile()
    child = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
        signal.signal(number, lambda got, _: os.kill(child, got))
    return int(answers.readline())


def main() -> None:
    """Run, and end as the program did."""
    if os.path.basename(sys.argv[0]) == "docker":
        client = os.environ["DOCS_DOCKER"]
        os.execv(client, [client, *container(sys.argv[1:])])
    words = arguments()
    if not forked(words):
        os.execv(REAL, [REAL, *words])
    code = ask(words)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


main()
