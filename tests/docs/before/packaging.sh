# Three versions of a model, code of a server, a checkpoint's folder, models of Keras and of MXNet.
mkdir -p runs serving_code exported/export
cp -r "$DOCS_FILES/runs/mnist" runs/mnist
cp -r runs/mnist/model/1 runs/mnist/model/3
echo 'def handler(data, context): return data' >serving_code/inference.py
mkdir -p exported/export/Servo && cp -r runs/mnist/model/1 exported/export/Servo/1
trainer train --model fast --train "$DOCS_FILES/mnist" --steps 400 --batch-size 20 --eval-every 200 \
  --checkpoint-every 200 --checkpoint-dir runs/ckpt --model-dir runs/run/model
trainer data sync runs/mnist/model/1 gs://bucket/trained/model
