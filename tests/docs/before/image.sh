# Records, a model to serve, and the folder that SageMaker gives a container.
cp -r "$DOCS_FILES/mnist-records" data/tfrecord
cp -r "$DOCS_FILES/runs/mnist/model" model
mkdir -p ml/input/data
cp -r "$DOCS_FILES/mnist" ml/input/data/train
