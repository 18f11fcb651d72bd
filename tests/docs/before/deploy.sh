# A model here and in both stores, and a job that has ended.
cp -r "$DOCS_FILES/runs" .
cp "$DOCS_FILES/model.tar.gz" .
printf '%s\n' zero one two three four five six seven eight nine >runs/mnist/model/1/assets.extra/classes.txt
trainer data sync model.tar.gz s3://bucket/mnist
trainer data sync runs/mnist/model/1 gs://bucket/runs/mnist/model
trainer submit --to sagemaker --image IMAGE --role SageMakerRole --output s3://bucket/runs --name mnist-2026-01-31 \
  -- --train s3://bucket/mnist
