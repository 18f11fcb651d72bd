"""Texts of engines, as Docker 20 to 28 and Podman print them, as lines that say what to do."""

import pytest

from trainer.backends.engine.problems import engine_error

DAEMON = "Error response from daemon: "
TEXTS = {
    "permission denied while trying to connect to the Docker daemon socket at "
    'unix:///var/run/docker.sock: Get "http://%2Fvar": dial unix /var/run/docker.sock: connect: '
    "permission denied": (
        "docker: no permission for the engine's socket unix:///var/run/docker.sock; join the group "
        "docker (sudo usermod -aG docker $USER, then log in again)"
    ),
    "Got permission denied while trying to connect to the Docker daemon socket at "
    "unix:///var/run/docker.sock: Post …": "docker: no permission for the engine's socket "
    "unix:///var/run/docker.sock; join the group docker (sudo usermod -aG docker $USER, then log "
    "in again)",
    "Cannot connect to the Docker daemon at unix:///tmp/nosock. Is the docker daemon running?": (
        "docker: no engine answers; start it (sudo systemctl start docker), or name another with "
        "DOCKER_HOST"
    ),
    f"Unable to find image 'none:x' locally\n{DAEMON}Get …": (
        "--image none:x: the engine has no such image, and it cannot be pulled; build it (make "
        "image), load it (docker load), or name another"
    ),
    f"{DAEMON}No such image: none:x": (
        "--image none:x: the engine has no such image, and it cannot be pulled; build it (make "
        "image), load it (docker load), or name another"
    ),
    f"{DAEMON}pull access denied for none, repository does not exist or may require": (
        "--image none: the engine has no such image, and it cannot be pulled; build it (make "
        "image), load it (docker load), or name another"
    ),
    f'docker: {DAEMON}could not select device driver "" with capabilities: [[gpu]].': (
        "--gpus: this engine gives containers no GPU; install NVIDIA's Container Toolkit "
        "(nvidia-ctk runtime configure), or leave --gpus out"
    ),
    f"{DAEMON}driver failed programming external connectivity on endpoint x (abc): Bind for "
    "0.0.0.0:8080 failed: port is already allocated": (
        "port 0.0.0.0:8080: another program listens there; end that one (docker ps, ss -ltnp), or "
        "choose another port"
    ),
    f"{DAEMON}driver failed: listen tcp4 0.0.0.0:8123: bind: address already in use": (
        "port 0.0.0.0:8123: another program listens there; end that one (docker ps, ss -ltnp), or "
        "choose another port"
    ),
    f'{DAEMON}Conflict. The container name "/abc" is already in use by container "12"': (
        "--name abc: a container of this name is there already; choose another name, or remove "
        "that one (docker rm abc)"
    ),
    f"{DAEMON}network with name job-hosts already exists": (
        "job-hosts: the engine has a network of this name already; choose another --name, or "
        "remove it (docker network rm job-hosts)"
    ),
    f"{DAEMON}mkdir /var/lib/docker/overlay2/x: no space left on device": (
        "docker: the engine's disk is full; make room there (docker system df, docker system prune)"
    ),
    f"{DAEMON}network nonet not found\nError: failed to start containers: zz": (
        "--network nonet: the engine has no such network; make it (docker network create nonet), "
        "or leave --network out"
    ),
    "Network nonet declared as external, but could not be found. Please create the network": (
        "--network nonet: the engine has no such network; make it (docker network create nonet), "
        "or leave --network out"
    ),
    f'{DAEMON}invalid mount config for type "bind": bind source path does not exist: /no such': (
        "/no such: the engine's machine has no such path; share it with the engine, or copy it "
        "there if DOCKER_HOST is another machine"
    ),
    f"{DAEMON}Minimum memory limit allowed is 6MB": (
        "--memory: the engine says: Minimum memory limit allowed is 6MB; give more"
    ),
    f"{DAEMON}Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available": (
        "--cpus: the engine says: Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs "
        "available; give fewer"
    ),
    f"{DAEMON}No such container: gone": (
        "container gone: the engine has none of this name; see docker ps --all, or trainer "
        "jobs list --on docker"
    ),
}


@pytest.mark.parametrize(("text", "line"), TEXTS.items())
def test_a_text_of_the_engine_is_one_line_that_says_what_to_do(text, line):
    assert str(engine_error(text, subject="docker create")) == line


def test_an_unknown_text_is_named_by_its_first_line():
    text = f"WARNING: something else\ndocker: {DAEMON}a new mistake\n\nRun 'docker run --help'"
    assert str(engine_error(text, subject="docker create")) == "docker create: a new mistake"
