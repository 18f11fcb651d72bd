"""Train one TensorFlow model unchanged on SageMaker, AI Platform, Vertex AI or a plain box.

    from trainer import Hparams, Job, train_and_evaluate
    train_and_evaluate(Job(hparams=Hparams(model="fast"), train=("data/mnist",)))

The packages, from the ground up: config, runtime, storage, data, then models, distribution and
platforms, launch, packaging, then training, serving and sagemaker, doctor, cli. Each imports from
those below it only.
"""

import lazy_loader

__version__ = "0.3.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
