"""HTTP: connections, bodies, endpoints, errors, the access log and the metrics."""
