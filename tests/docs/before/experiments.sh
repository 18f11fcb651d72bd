# Two runs, one in a bucket, and MLflow's own server.
mkdir runs
for name in mnist a b; do cp -r "$DOCS_FILES/runs/mnist" runs/$name; done
trainer data sync runs/a gs://bucket/runs/c
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true
PATH="$(dirname "$DOCS_PYTHON"):$PATH" mlflow server --port 5000 --workers 1 \
  --backend-store-uri "sqlite:///$HOME/mlflow.db" --artifacts-destination "$HOME/artifacts" >mlflow.log 2>&1 &
answers $! 5000 health
