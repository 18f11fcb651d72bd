import re
import subprocess
import sys
from pathlib import Path

import pytest

import trainer
from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.distribution.registry import (
    STRATEGIES,
    default_strategy,
    spec_named,
    spec_of,
    strategies_where,
    strategy_to_meet,
)

SOURCES = Path(trainer.__file__).parent
HOSTS = Cluster(chief=("a",), worker=("b",))


def test_no_other_package_compares_the_name_of_a_strategy():
    names = "|".join(name for name in STRATEGIES if name != "none")
    compared = re.compile(rf"distribution (==|!=|in|not in) |[\"']({names})[\"']")
    found = [
        f"{path.relative_to(SOURCES)}:{number}: {line.strip()}"
        for path in SOURCES.rglob("*.py")
        if path.relative_to(SOURCES).parts[0] != "distribution"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if compared.search(line)
    ]
    assert found == []


def test_what_is_asked_before_tensorflow_is_there_does_not_import_it():
    code = (
        "import sys\n"
        "from trainer.config import Job\n"
        "from trainer.distribution import STRATEGIES, spec_of\n"
        "for name in STRATEGIES:\n"
        "    strategy = spec_of(Job(distribution=name))\n"
        "    strategy.needs_launcher(2), strategy.gpu_index(Job()), strategy.computes('chief')\n"
        "print({'numpy', 'tensorflow', 'keras'} & set(sys.modules))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout == "set()\n"


def test_a_name_that_is_none_is_an_error_that_lists_them():
    expected = "--distribution ring: expected one of none, mirrored, multi_worker_mirrored, "
    for use in (lambda: spec_named("ring"), lambda: Job(distribution="ring")):
        with pytest.raises(UserError) as raised:
            use()
        assert str(raised.value) == expected + "parameter_server, horovod"


@pytest.mark.parametrize(
    ("cluster", "gpus", "by_mpi", "name"),
    [
        (Cluster(), 0, False, "none"),
        (Cluster(), 1, False, "none"),
        (Cluster(), 2, False, "mirrored"),
        (HOSTS, 0, False, "multi_worker_mirrored"),
        (HOSTS, 0, True, "horovod"),
        (Cluster(chief=("a",), ps=("b",)), 2, False, "parameter_server"),
    ],
)
def test_a_job_that_names_none_gets_what_its_hosts_and_gpus_suggest(cluster, gpus, by_mpi, name):
    assert default_strategy(cluster, gpus=gpus, numbered_by_mpi=by_mpi) == name


@pytest.mark.parametrize(
    "cluster",
    [HOSTS, Cluster(chief=("a",), ps=("b",)), Cluster(chief=("a",), evaluator=("b",))],
)
def test_hosts_that_only_meet_all_have_a_role(cluster):
    roles = spec_named(strategy_to_meet(cluster)).roles
    assert {role for role in ("chief", "worker", "ps", "evaluator") if getattr(cluster, role)} <= {
        *roles
    }


def test_strategies_are_found_by_their_answers():
    assert strategies_where(lambda strategy: strategy.single_process) == ("mirrored", "none")
    assert spec_of(Job()).single_process
