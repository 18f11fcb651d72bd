"""Train in local mode by SageMaker's SDK, version 3, whose environment runs this.

    python sdk_v3.py '{"training_image": …, "root": …, "inputs": {…}, …}'

The SDK leaves model.tar.gz in ROOT/compressed_artifacts.
"""

import json
import sys

from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode
from sagemaker.train.distributed import MPI
from sagemaker.train.model_trainer import Mode

job = json.loads(sys.argv[1])
source = job.pop("source_code", None)
processes = job.pop("mpi_processes", None)
trainer = ModelTrainer(
    training_mode=Mode.LOCAL_CONTAINER,
    role="arn:aws:iam::000000000000:role/none",
    compute=Compute(instance_type="local_cpu", instance_count=job.pop("instance_count", 1)),
    source_code=SourceCode(**source) if source else None,
    distributed=MPI(process_count_per_node=processes) if processes else None,
    local_container_root=job.pop("root"),
    input_data_config=[
        InputData(channel_name=name, data_source=folder)
        for name, folder in job.pop("inputs").items()
    ],
    **job,
)
trainer.train(wait=True, logs=True)
