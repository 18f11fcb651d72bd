"""Kubernetes: the pods that its controllers start, and the manifests for them."""
