import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_cluster import FakeCluster, running_cluster


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster that the real kubectl reaches."""
    if shutil.which("kubectl") is None and not os.environ.get("CI"):
        pytest.skip("needs kubectl")
    with running_cluster() as found:
        monkeypatch.setenv("KUBECONFIG", str(found.kubeconfig(tmp_path)))
        # Where kubectl keeps what servers said of their kinds.
        monkeypatch.setenv("HOME", str(tmp_path))
        yield found
