"""The job that imports: it checks a model that was trained elsewhere, and leaves it as its own.

`estimator.deploy()` and Vertex AI's model upload start from what a job has left. With `--import`
the job leaves a model that was trained before.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from pathlib import Path

from trainer.config import Job, UserError
from trainer.packaging import check_loads, copy_files, place_model, prepare_model, printable
from trainer.runtime import output
from trainer.storage import local
from trainer.training import preflight
from trainer.training.staging import Stage

logger = logging.getLogger(__name__)

REPORT = "import.json"


def import_model(stage: Stage) -> None:
    """Put the model that `job.input` names into the model folder, and report on it.

    Args:
        stage: The job on local paths, and the way of its results to where they belong.

    Raises:
        UserError: It is no model that a server could load; the model folder is as it was.
    """
    job = stage.job
    if not job.cluster.is_chief:
        logger.info("import: the first host does it")
        return
    if not job.input:
        raise UserError(
            subject="--import",
            problem="there is no model: name a channel `input` (SageMaker), or give --input PATH",
        )
    preflight.check_outputs(job)
    begun = time.monotonic()
    name = f"--input {job.input}"
    module = None if job.module == Job.module else job.module
    with prepare_model(Path(job.input), name=name, module=module) as model:
        logger.info(f"import: {printable(model.origin)}, {len(model.files)} files")

        def write(folder: Path) -> None:
            copy_files(model.files, folder)
            check_loads(folder, name=name)

        path = place_model(Path(job.model_dir), job.layout, write, code=model.code)
        size = sum(file.stat().st_size for file in model.files.values())
    for signature in model.graph.signatures:
        takes = ", ".join(map(str, signature.inputs))
        gives = ", ".join(map(str, signature.outputs))
        logger.info(
            f"signature={printable(signature.name)} takes {printable(takes)}; "
            f"gives {printable(gives)}"
        )
    where = stage.destination.model_written(path)
    report = {
        "imported": model.origin,
        "version": model.version,
        "model_path": where,
        "layout": job.layout,
        "files": len(model.files),
        "bytes": size,
        "code": model.code is not None,
        "seconds": time.monotonic() - begun,
        **dataclasses.asdict(model.graph),
    }
    folder = preflight.output_dir(job)
    folder.mkdir(parents=True, exist_ok=True)
    local.write_text(folder / REPORT, json.dumps(output.clean_value(report), indent=2) + "\n")
    stage.destination.finish()
    logger.info(f"model={where} bytes={size} report={REPORT}")
