"""Endpoints of SageMaker, Vertex AI and TensorFlow Serving."""
