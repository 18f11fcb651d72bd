# The model of a training job, in S3.
aws s3 cp --quiet "$DOCS_FILES/model.tar.gz" s3://bucket/models/mnist/model.tar.gz
