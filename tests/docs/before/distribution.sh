cp -r "$DOCS_FILES/mnist-records" data/tfrecord
