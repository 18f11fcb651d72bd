"""The same model in MLServer, with its adaptive batching.

MODEL=model/1 python -m benchmarks.rivals.mlserver_model PORT    beside a model-settings.json
"""

import os
import sys

import numpy as np
import tensorflow as tf
from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.cli import main  # type: ignore[import-not-found]
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]


class Digits(MLModel):
    """A SavedModel of digits."""

    async def load(self) -> bool:
        self.loaded = tf.saved_model.load(os.environ["MODEL"])
        self.function = self.loaded.signatures["serving_default"]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        images = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        outputs = self.function(image_input=tf.constant(images))
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output(k, v.numpy()) for k, v in outputs.items()],
        )


if __name__ == "__main__":
    port = int(sys.argv[1])
    ports = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    os.environ |= {f"MLSERVER_{name.upper()}": str(value) for name, value in ports.items()}
    sys.argv = ["mlserver", "start", "."]
    main()
