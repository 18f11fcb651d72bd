"""Vertex AI: custom jobs and tuning jobs, their lines in Cloud Logging, and their folders."""
