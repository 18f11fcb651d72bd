"""Records as TensorFlow Datasets, models/slim and Spark write them."""

import io
from pathlib import Path

import tensorflow as tf
from digits import colours, digits
from PIL import Image


def feature(value: object) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    values = value if isinstance(value, list) else [value]
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def write(path: Path, examples: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        for example in examples:
            kept = {name: feature(value) for name, value in example.items()}
            features = tf.train.Features(feature=kept)
            file.write(tf.train.Example(features=features).SerializeToString())


def encoded(pixels: object, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


for split, other in (("train", "train"), ("test", "validation")):
    images, labels = digits(split, 200)
    pairs = list(zip(images, map(int, labels), strict=True))
    datasets = Path.home() / "tensorflow_datasets/mnist/3.0.1"
    write(
        datasets / f"mnist-{split}.tfrecord-00000-of-00001",
        [{"image": encoded(pixels, "PNG"), "label": label} for pixels, label in pairs],
    )
    write(
        Path(f"spark/{split}/part-r-00000"),
        [{"pixels": pixels.ravel().tolist(), "digit": label} for pixels, label in pairs],
    )
    images, labels = colours(split, 20)
    write(
        Path(f"flowers/flowers_{other}_00000-of-00005.tfrecord"),
        [{"image/encoded": encoded(pixels, "JPEG"), "image/class/label": int(label)}
         for pixels, label in zip(images, labels, strict=True)],
    )  # fmt: skip
