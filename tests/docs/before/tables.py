"""Kaggle's table of pixels, Hugging Face's of pictures, and one of houses."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from digits import colours, digits
from PIL import Image


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


for folder in ("digits", "cifar10/data", "houses"):
    Path(folder).mkdir(parents=True)
for name, split, count in (("train", "train", 400), ("valid", "test", 100)):
    images, labels = digits(split, count)
    heading = ",".join(["label", *(f"pixel{n}" for n in range(784))])
    rows = np.concatenate([labels[:, None], images.reshape(count, -1)], axis=1)
    np.savetxt(f"digits/{name}.csv", rows, "%d", ",", header=heading, comments="")
# As Kaggle's test.csv: without labels.
np.savetxt("digits/test.csv", rows[:, 1:], "%d", ",", header=heading[6:], comments="")
for split in ("train", "test"):
    images, labels = colours(split, 100)
    pictures = [{"bytes": png(one), "path": None} for one in images]
    table = pa.table({"img": pictures, "label": pa.array(labels.astype("int64"))})
    pq.write_table(table, f"cifar10/data/{split}-00000-of-00001.parquet")
area = np.linspace(40, 200, 128, dtype="float32")
houses = pa.table({"area": area, "age": area % 30, "price": 2 * area - area % 30})
for split in ("train", "test"):
    pq.write_table(houses, f"houses/{split}.parquet")
