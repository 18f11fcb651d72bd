"""The server that most people write first: Flask around `tf.saved_model.load`, run by gunicorn.

MODEL=model/1 gunicorn benchmarks.rivals.flask_server:app
"""

import os

import numpy as np
import tensorflow as tf
from flask import Flask, jsonify, request

app = Flask(__name__)
# Kept: the signatures hold only weak references to the variables.
model = tf.saved_model.load(os.environ["MODEL"])
predict = model.signatures["serving_default"]


@app.post("/predict")
def answer():
    images = np.asarray(request.get_json()["instances"], np.float32)
    outputs = {k: v.numpy().tolist() for k, v in predict(image_input=tf.constant(images)).items()}
    rows = [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]
    return jsonify(predictions=rows)


@app.get("/ping")
def ping():
    return ""
