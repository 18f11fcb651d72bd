"""Requests: rows of a digit in each form, and a picture of it."""

import json
from pathlib import Path

import numpy as np
from digits import digits
from PIL import Image

images, _ = digits("test", 2)
rows = (images / 255).round(3)
Path("rows.json").write_text(json.dumps({"instances": rows[..., None].tolist()}))
Path("rows.jsonl").write_text("".join(json.dumps(row[..., None].tolist()) + "\n" for row in rows))
np.savetxt("rows.csv", rows.reshape(2, -1), "%g", ",")
np.save("rows.npy", rows[..., None].astype("float32"))
Image.fromarray(images[0]).save("digit.png")
