#!/usr/bin/env python3
"""A docker client whose containers are lines of a file: no engine, and a server that is there."""

import json
import os
import re
import sys
from pathlib import Path

STATE = Path(os.environ["DOCKER_STUB"])


def main(argv: list[str]) -> int:  # noqa: C901
    """Do one command."""
    containers = json.loads(STATE.read_text()) if STATE.exists() else {}
    verb, code = argv[0], 0
    if os.environ.get("DOCKER_FAILS") == verb:
        sys.stderr.write("docker: Error response from daemon: Bind for 0.0.0.0:1 failed: port is "
                         "already allocated.\n"
                         "\nRun 'docker run --help' for more information\n")  # fmt: skip
        return 125
    if verb == "container":
        if argv[2] not in containers:
            sys.stderr.write(f"Error response from daemon: No such container: {argv[2]}\n")
            return 1
        print(json.dumps([containers[argv[2]]]))
    elif verb == "image":
        code = int(argv[2] == "missing:1")
    elif verb == "run":
        words = iter(argv)
        name = argv[argv.index("--name") + 1]
        labels = dict(next(words).split("=", 1) for word in words if word == "--label")
        state = {"Running": "dies" not in name, "ExitCode": 1}
        containers[name] = {"Config": {"Labels": labels}, "State": state, "RestartCount": 0,
                            "argv": argv}  # fmt: skip
    elif verb == "rename":
        containers[argv[2]] = containers.pop(argv[1])
    elif verb in ("stop", "start"):
        containers[argv[1]]["State"]["Running"] = verb == "start"
    elif verb == "rm":
        containers.pop(argv[-1], None)
    elif verb == "logs":
        sys.stderr.write("trainer: failed: no model\n")
    elif verb == "port":
        print(os.environ.get("DOCKER_PORT", ""))
    elif verb == "ps":
        kind, _, wanted = argv[argv.index("--filter") + 1].partition("=")
        label, _, value = wanted.partition("=")
        for name, each in containers.items():
            labels = each["Config"]["Labels"]
            if kind == "name" and re.search(wanted, name):
                print(name)
            elif kind == "label" and labels.get(label) == value:
                print(f"{name}\t{labels.get('trainer-deploy-artifact', '')}")
    STATE.write_text(json.dumps(containers))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
