"""`--to kubernetes`: jobs of a cluster, through the kubectl that reaches it."""
