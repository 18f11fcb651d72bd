"""A Docker client with an engine of folders and processes, for tests without one.

It knows the commands that the trainer calls. A container is a folder beside this file with its
options, its files in `root`, its output, and its exit code once it has ended; what it runs is a
process of this machine, in `root`.
"""

import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import time

HERE = pathlib.Path(__file__).parent
IMAGE = "trainer:cpu"


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "000Z")


def folder(kind: str, name: str) -> pathlib.Path:
    found = HERE / kind / name
    if not found.is_dir():
        sys.exit(f"Error: No such {kind}: {name}")
    return found


def parsed(argv: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return options with their values, all of which have one, and what follows them."""
    options: dict[str, list[str]] = {}
    while argv and argv[0].startswith("--"):
        options.setdefault(argv[0], []).append(argv[1])
        argv = argv[2:]
    return options, argv


def make(kind: str, name: str, **spec: object) -> pathlib.Path:
    made = HERE / kind / name
    if made.exists():
        sys.exit(f"Error: {kind} with name {name} already exists")
    made.mkdir(parents=True)
    (made / "spec.json").write_text(json.dumps({"name": name, "created": now(), **spec}))
    return made


def spec_of(path: pathlib.Path) -> dict:
    return json.loads((path / "spec.json").read_text())


def pairs(items: list[str]) -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in items)


def create(argv: list[str]) -> None:
    options, (image, *command) = parsed(argv)
    if options.get("--network", [""])[0] == "none-such":
        sys.exit("Error response from daemon: network none-such not found")
    env = {n: v if "=" in item else os.environ[n] for item in options.get("--env", [])
           for n, _, v in [item.partition("=")]}  # fmt: skip
    made = make("container", options["--name"][0], labels=pairs(options.get("--label", [])),
                image=image, command=command, env=env)  # fmt: skip
    (made / "root").mkdir()


def start(argv: list[str]) -> None:
    path = folder("container", argv[0])
    (path / "started").write_text(now())
    (path / "log").touch()
    none = subprocess.DEVNULL
    subprocess.Popen([sys.executable, __file__, "_run", str(path)], start_new_session=True,
                     stdin=none, stdout=none, stderr=none)  # fmt: skip


def _run(argv: list[str]) -> None:
    path = pathlib.Path(argv[0])
    spec = spec_of(path)
    with subprocess.Popen(spec["command"], cwd=path / "root", env={**os.environ, **spec["env"]},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:  # fmt: skip
        (path / "pid").write_text(str(process.pid))
        with (path / "log").open("a") as log:
            for line in process.stdout or ():
                log.write(f"{now()} {line.decode()}")
                log.flush()
        code = process.wait()
    (path / "finished").write_text(now())
    (path / "exit").write_text(str(128 - code if code < 0 else code))


def described(path: pathlib.Path) -> dict:
    spec = spec_of(path)
    text = {name: (path / name).read_text() if (path / name).exists() else "" for name in
            ("started", "finished", "exit")}  # fmt: skip
    status = "exited" if text["exit"] else "running" if text["started"] else "created"
    return {
        "Name": f"/{spec['name']}", "Created": spec["created"], "HostConfig": {"Memory": 0},
        "Config": {"Labels": spec["labels"], "Image": spec.get("image", "")},
        "State": {
            "Status": status, "ExitCode": int(text["exit"] or 0), "OOMKilled": False, "Error": "",
            "StartedAt": text["started"] or "0001-01-01T00:00:00Z",
            "FinishedAt": text["finished"] or "0001-01-01T00:00:00Z",
        },
    }  # fmt: skip


def listed(kind: str, argv: list[str]) -> None:
    name, _, value = argv[-1].removeprefix("label=").partition("=")
    for path in sorted((HERE / kind).glob("*")):
        labels = spec_of(path)["labels"]
        if name in labels and value in ("", labels[name]):
            print(path.name)


def wait(name: str) -> str:
    path = folder("container", name)
    while not (path / "exit").exists():
        time.sleep(0.02)
    return (path / "exit").read_text()


def stop(argv: list[str]) -> None:
    _, names = parsed(argv)
    for name in names:
        path = folder("container", name)
        while not (path / "pid").exists():
            time.sleep(0.02)
        if not (path / "exit").exists():
            os.kill(int((path / "pid").read_text()), signal.SIGTERM)
        wait(name)


def logs(argv: list[str]) -> None:
    stamped, follow = "--timestamps" in argv, "--follow" in argv
    path = folder("container", argv[-1])
    with (path / "log").open() as log:
        while True:
            ended = not follow or (path / "exit").exists()
            for line in log:
                print(line if stamped else line.partition(" ")[2], end="", flush=True)
            if ended:
                return
            time.sleep(0.02)


def remove(kind: str, argv: list[str]) -> None:
    path = folder(kind, argv[-1])
    if (path / "pid").exists() and not (path / "exit").exists():
        os.kill(int((path / "pid").read_text()), signal.SIGKILL)
        wait(argv[-1])
    shutil.rmtree(path)


def copy(argv: list[str]) -> None:
    source, target = argv
    if source == "-":
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
            tar.extractall(folder("container", target.partition(":")[0]) / "root")
        return
    name, _, path = source.partition(":")
    found = folder("container", name) / "root" / path.lstrip("/")
    if not found.exists():
        sys.exit(f"Error: Could not find the file {path} in container {name}")
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        tar.add(found, found.name)


def compose(argv: list[str]) -> None:
    import yaml

    if argv == ["version"]:
        return
    services = yaml.safe_load(sys.stdin)["services"]
    for service in services.values():
        labels = [f"{name}={value}" for name, value in service["labels"].items()]
        words = [w for label in labels for w in ("--label", label)]
        create(["--name", service["container_name"], *words, service["image"], *service["command"]])
        start([service["container_name"]])


def main(argv: list[str]) -> None:
    command, *rest = argv
    simple = {
        "create": create, "start": start, "_run": _run, "stop": stop, "logs": logs, "cp": copy,
        "compose": compose, "ps": lambda a: listed("container", a),
        "rm": lambda a: remove("container", a), "wait": lambda a: print(wait(a[0])),
        "version": lambda a: None,
    }  # fmt: skip
    if command in simple:
        simple[command](rest)
    elif command == "image":
        sys.exit(0 if rest[1] == IMAGE else 1)
    elif command == "pull":
        sys.exit(f"Error response from daemon: Get https://{rest[-1]}: no such host")
    elif rest[0] == "inspect":
        print(json.dumps([described(folder(command, name)) | {"Name": name} for name in rest[1:]]))
    elif rest[0] == "create":
        make(command, rest[-1], labels=pairs([rest[rest.index("--label") + 1]]))
    elif rest[0] == "ls":
        listed(command, rest)
    elif rest[0] == "rm":
        remove(command, rest)


main(sys.argv[1:])
