"""Files of columns as people have them, for tests: Kaggle's CSV, Hugging Face's Parquet."""

import io
import json

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet


def digits(count, *, size=28, classes=10, seed=0):
    """Return images uint8 [count, size, size], dark at their edges, and labels."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, size, size), np.uint8)
    images[:, :2] = 0
    images[0, 5, 5] = 255
    return images, np.arange(count) % classes


def csv_text(images, labels, *, header=True, separator=","):
    """Return images and labels as Kaggle's digit recognizer has them."""
    flat = images.reshape(len(images), -1)
    names = separator.join(["label", *(f"pixel{i}" for i in range(flat.shape[1]))])
    rows = [
        separator.join(map(str, (label, *row))) for label, row in zip(labels, flat, strict=True)
    ]
    return "\n".join([names, *rows] if header else rows) + "\n"


def png(image):
    """Return an image as an encoded picture."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


def hugging_face(path, images, labels, *, names, row_group_size=100):
    """Write Parquet as `datasets` does: pictures in a struct, names of classes in the metadata."""
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pictures = [{"bytes": png(image), "path": None} for image in images]
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(names), "_type": "ClassLabel"},
    }
    table = pa.table({"image": pa.array(pictures, struct), "label": pa.array(labels)})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = table.replace_schema_metadata(metadata)
    parquet.write_table(table, path, row_group_size=row_group_size)
    return path


def vectors(images, *, sparse):
    """Return images as Spark's vectors; the first one dense."""
    found = []
    for i, row in enumerate(images.reshape(len(images), -1)):
        at = np.flatnonzero(row) if sparse and i else None
        found.append(
            {
                "type": 1 if at is None else 0,
                "size": None if at is None else row.size,
                "indices": None if at is None else at.tolist(),
                "values": (row if at is None else row[at]).astype(float).tolist(),
            }
        )
    fields = [("type", pa.int8()), ("size", pa.int32())]
    fields += [("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float64()))]
    return pa.array(found, pa.struct(fields))
