"""Endpoints of Vertex AI."""
