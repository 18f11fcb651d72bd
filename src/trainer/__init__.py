"""Train one TensorFlow model unchanged on SageMaker, AI Platform, Vertex AI or a plain box."""

__version__ = "0.1.0"
