"""The lines of a job's containers, which SageMaker sends to CloudWatch Logs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from trainer.backends.backend import LogLine
from trainer.clouds import naming_aws_errors

GROUP = "/aws/sagemaker/TrainingJobs"
_STREAM = re.compile(r"(?P<job>[^/]+)/(?P<host>algo-\d+)(-\d+)?")


class CloudWatchReader:
    """Reads the streams of a job's hosts, each from where the last read ended.

    A host has another stream after each interruption; new streams are looked for at each read.

    Args:
        client: boto3's client of CloudWatch Logs.
        prefix: How the names of the streams begin.
        several: True if lines are to name their host.
        trials: True if the streams are of a tuning job's trials, which lines name then.
    """

    def __init__(self, client: Any, prefix: str, *, several: bool, trials: bool = False) -> None:
        self._client, self._prefix = client, prefix
        self._several, self._trials = several, trials
        self._tokens: dict[str, str] = {}
        # Lines that were read before an error; the next read returns them.
        self._found: list[LogLine] = []

    def read(self) -> Sequence[LogLine]:
        """Return the lines that are new, of all hosts in the order of their times."""
        with naming_aws_errors("the job's lines"):
            for stream in self._streams():
                self._read(stream)
        # Lines of one host stay in their order.
        found, self._found = sorted(self._found, key=lambda line: line.time), []
        return found

    def _streams(self) -> list[str]:
        pages = self._client.get_paginator("describe_log_streams").paginate(
            logGroupName=GROUP, logStreamNamePrefix=self._prefix
        )
        try:
            names = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        except self._client.exceptions.ResourceNotFoundException:
            # The group is made with the first line of the account's first job.
            return []
        return names

    def _read(self, stream: str) -> None:
        host = self._host(stream)
        while True:
            token = self._tokens.get(stream)
            page = self._client.get_log_events(
                logGroupName=GROUP, logStreamName=stream, startFromHead=True,
                **({"nextToken": token} if token else {}),
            )  # fmt: skip
            self._found += [
                LogLine(
                    host=host, text=event["message"].rstrip("\n"), time=event["timestamp"] / 1e3
                )
                for event in page["events"]
            ]
            self._tokens[stream] = page["nextForwardToken"]
            # A page may be empty although more follow; the end has the same token again.
            if page["nextForwardToken"] == token:
                return

    def _host(self, stream: str) -> str:
        match = _STREAM.fullmatch(stream)
        if match is None or not (self._several or self._trials):
            return "" if match else stream
        trial = match["job"].removeprefix(self._prefix).partition("-")[0]
        parts = [trial] if self._trials else []
        return " ".join([*parts, match["host"]] if self._several else parts)
