"""What several tests of training share: an MLflow tracking store."""

import contextlib
from pathlib import Path

import pytest

from trainer.training import mlflow_server


@pytest.fixture(scope="session")
def tracking_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The uri of an MLflow database, to which a client of this process writes itself."""
    pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/runs.db"
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        # Files of runs go below the folder that it is first used in.
        artifacts = mlflow_server.connect(uri).get_experiment("0").artifact_location
    assert Path(artifacts).is_relative_to(folder)
    return uri
