# A run in a bucket.
trainer data sync "$DOCS_FILES/runs" gs://bucket/runs
