"""Vertex AI and AI Platform: the container that they start, and the request for one."""
