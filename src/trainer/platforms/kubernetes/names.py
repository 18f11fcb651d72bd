"""Labels and annotations of a job's objects, by which they are found again."""

from __future__ import annotations

INSTANCE_LABEL = "app.kubernetes.io/instance"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
# Kueue's, on jobs that wait in a queue.
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
# The folder that the job writes to, for `trainer jobs fetch`.
OUTPUT_ANNOTATION = "trainer/output"
# The entry of a Secret with the key by which hosts know each other. A name that says what it is
# would be masked in the commands that are printed.
SECRET_KEY = "value"
