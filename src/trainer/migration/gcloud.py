"""Jobs that gcloud starts, on Vertex AI and its predecessor AI Platform, as jobs of the SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from trainer.migration.gcloud_files import accelerator, number, read_yaml, tier, training_input
from trainer.migration.hidden import CommandReader
from trainer.migration.shell import CommandLine, options_of
from trainer.migration.values import Given, Made
from trainer.migration.vertex_pools import plain, shown
from trainer.migration.vertex_requests import custom_job, tuning_job

_SWITCHES = ("stream-logs", "async", "enable-web-access", "enable-dashboard-access", "quiet",
             "use-chief-in-tf-config", "no-async", "restart-job-on-worker-restart")  # fmt: skip
CUSTOM, TUNING, OLD = "gcloud ai custom-jobs create", "gcloud ai hp-tuning-jobs create", (
    "gcloud ai-platform jobs submit training", "gcloud ml-engine jobs submit training",
)  # fmt: skip
# Options of gcloud by the arguments of the SDK.
_OPTIONS: Mapping[str, str] = {
    "display-name": "display_name", "project": "project", "region": "location",
    "service-account": "service_account", "network": "network",
    "persistent-resource-id": "persistent_resource_id", "staging-bucket": "staging_bucket",
    "master-image-uri": "container_uri", "master-machine-type": "machine_type",
    "parameter-server-machine-type": "server_machine_type", "kms-key": "encryption_spec_key_name",
    "python-version": "python_version", "runtime-version": "runtime_version",
    "max-trial-count": "max_trial_count", "parallel-trial-count": "parallel_trial_count",
    "max-failed-trial-count": "max_failed_trial_count",
}  # fmt: skip
_QUIET = ("args", "command", "env-vars", "labels", "worker-pool-spec", "config", "stream-logs",
          "async", "no-async", "quiet", "package-path", "module-name", "job-dir", "scale-tier",
          "worker-count", "parameter-server-count", "master-accelerator", "worker-machine-type",
          "worker-image-uri", "parameter-server-image-uri", "use-chief-in-tf-config",
          "python-package-uris", "packages", "worker-accelerator", "format", "verbosity",
          "impersonate-service-account", "account", "configuration", "algorithm")  # fmt: skip
_SEARCHING = ("display_name", "max_trial_count", "parallel_trial_count", "max_failed_trial_count")
# AI Platform's samples have other names for these flags of the trainer.
_OLD_FLAGS = {"--num-epochs": "--epochs", "--num_epochs": "--epochs", "--train-steps": "--steps",
              "--train_steps": "--steps", "--max-steps": "--steps"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Gcloud(CommandReader):
    """Reads command lines of gcloud."""

    def jobs(self, command: CommandLine) -> tuple[Made, ...]:
        """Return the jobs that a command starts; the last of them is the one that it names."""
        words = [word for word in command.words if word not in ("beta", "alpha")]
        verb = next((each for each in (CUSTOM, TUNING, *OLD) if _begins(words, each)), None)
        if verb is None:
            return ()
        line = self.line + command.line
        rest = tuple(words[len(verb.split()) :])
        options, others, behind = options_of(rest, dict.fromkeys(_SWITCHES))
        values = {**self._plain(options), **self._file(options, line)}
        if verb in OLD:
            values |= self._old(options, others, behind)
        else:
            values |= self._pools(options)
        if "custom_job" in values:
            return self._search(values, line, verb)
        given = _given(self.hidden.restored(values), line)
        return (Made(kind="CustomJob", given=given, line=line, label=verb),)

    def _search(self, values: dict[str, Any], line: int, verb: str) -> tuple[Made, ...]:
        """Return a job and its search, whose arguments a file and the command share."""
        trial, search = values.pop("custom_job"), values.pop("search")
        given = _given(self.hidden.restored(values), line)
        own = {name: given.pop(name) for name in _SEARCHING if name in given}
        job = Made(kind="CustomJob", given={**trial.given, **given}, line=line, label=verb)
        own |= {"custom_job": Given(value=job, source="", line=line)}
        return job, Made(kind=search.kind, given={**search.given, **own}, line=line, label=verb)

    def _plain(self, options: Mapping[str, list[str]]) -> dict[str, Any]:
        found: dict[str, Any] = {
            _OPTIONS[name]: values[0] for name, values in options.items()
            if name in _OPTIONS and values
        }  # fmt: skip
        for name in ("max_trial_count", "parallel_trial_count"):
            found |= {name: number(found[name])} if name in found else {}
        found |= {
            name.replace("-", "_"): values[0] if values else True
            for name, values in options.items() if name not in (*_OPTIONS, *_QUIET)
        }  # fmt: skip
        if "labels" in options:
            found["labels"] = _pairs(options["labels"])
        if "env-vars" in options:
            found["environment_variables"] = _pairs(options["env-vars"])
        return found

    def _pools(self, options: Mapping[str, list[str]]) -> dict[str, Any]:
        pools = [_pool(text) for text in options.get("worker-pool-spec", ())]
        found: dict[str, Any] = {"worker_pool_specs": pools} if pools else {}
        for name in ("args", "command"):
            if name in options:
                words = [word for each in options[name] for word in each.split(",")]
                found[name] = [word.strip("'\"") for word in words if word]
        script = next((pool.pop("script") for pool in pools if "script" in pool), None)
        if script:
            found["script_path"] = script
        uris = options.get("python-package-uris")
        if uris:
            found["python_package_gcs_uri"] = uris[0]
        return found

    def _file(self, options: Mapping[str, list[str]], line: int) -> dict[str, Any]:
        """Return what the file of `--config` says, or its name where it cannot be read."""
        name = (options.get("config") or [""])[0]
        if not name:
            return {}
        found = read_yaml(self.read(name))
        if not isinstance(found, dict):
            return {"config": name}
        found = plain(found)
        if "training_input" in found:
            return training_input(found["training_input"], line)
        if "study_spec" in found or "trial_job_spec" in found:
            trial, search = tuning_job(found, line)
            return {"custom_job": trial, "search": search}
        spec = found.get("job_spec") or found.get("custom_job_spec") or found
        job = custom_job({"job_spec": spec}, line)
        return {name: each.value for name, each in job.given.items()}

    def _old(
        self, options: Mapping[str, list[str]], others: Sequence[str], behind: Sequence[str]
    ) -> dict[str, Any]:
        """Return a job of AI Platform, as docs/ai-platform.md has it."""
        one = {name: values[0] for name, values in options.items() if values}
        found: dict[str, Any] = {"display_name": others[0]} if others else {}
        args = [_renamed(word) for word in behind]
        if "job-dir" in one:
            args = ["--job-dir", one["job-dir"], *args]
        if args:
            found["args"] = args
        if "module-name" in one:
            module = PurePosixPath(f"{one['module-name'].replace('.', '/')}.py")
            folder = PurePosixPath(one.get("package-path", "x")).parent
            found["script_path"] = (folder / module).as_posix()
        found |= tier(one.get("scale-tier", ""))
        if "master-accelerator" in one:
            found |= accelerator(_pairs([one["master-accelerator"]]))
        workers = one.get("worker-count", "0")
        if workers.isdecimal() and int(workers):
            found["replica_count"] = int(workers) + 1
        servers = one.get("parameter-server-count", "0")
        if servers.isdecimal() and int(servers):
            found["parameter_servers"] = int(servers)
        return found


def _begins(words: Sequence[str], verb: str) -> bool:
    wanted = verb.split()
    return [*words[: len(wanted)]] == wanted


def _given(values: Mapping[str, Any], line: int) -> dict[str, Given]:
    return {
        name: Given(value=value, source=shown(value), line=line) for name, value in values.items()
    }


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    """Return `A=b,C=d` as a dictionary; a part without a name belongs to the one before."""
    found: dict[str, str] = {}
    last = ""
    for part in ",".join(texts).split(","):
        name, equals, value = part.partition("=")
        if equals:
            last = name.strip()
            found[last] = value.strip("'\"")
        elif last:
            found[last] += f",{part}"
    return found


def _pool(text: str) -> dict[str, Any]:
    """Return the pool of `--worker-pool-spec=machine-type=…,replica-count=…`."""
    pairs = _pairs([text])
    machine = {
        name.replace("-", "_"): number(pairs[name])
        for name in ("machine-type", "accelerator-type", "accelerator-count") if name in pairs
    }  # fmt: skip
    image = pairs.get("container-image-uri") or pairs.get("executor-image-uri")
    pool: dict[str, Any] = {"machine_spec": machine, "container_spec": {"image_uri": image}}
    pool["replica_count"] = number(pairs.get("replica-count", "1"))
    if "python-module" in pairs and "local-package-path" not in pairs:
        pool["python_package_spec"] = {"python_module": pairs["python-module"]}
    script = pairs.get("script") or f"{pairs.get('python-module', '').replace('.', '/')}.py"
    if "local-package-path" in pairs and script != ".py":
        pool["script"] = (PurePosixPath(pairs["local-package-path"]) / script).as_posix()
    if "requirements" in pairs:
        pool["requirements"] = pairs["requirements"]
    return pool


def _renamed(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"{_OLD_FLAGS.get(name, name)}{equals}{value}"
