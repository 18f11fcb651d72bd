"""The HTTP server: SageMaker's, Vertex AI's and TensorFlow Serving's contracts over one model."""
