"""Digits to ask about: pictures, a table, an array and rows."""

import json
from pathlib import Path

import numpy as np
from digits import digits
from PIL import Image

for folder in ("images", "tables", "arrays"):
    Path(folder).mkdir()
images, _ = digits("test", 4)
for number, pixels in enumerate(images):
    Image.fromarray(pixels).save(f"images/{number}.png")
rows = (images / 255).round(3)
heading = ",".join(f"pixel{n}" for n in range(784))
np.savetxt("tables/a.csv", rows.reshape(4, -1), "%g", ",", header=heading, comments="")
np.save("arrays/test.npy", rows[..., None].astype("float32"))
Path("rows.jsonl").write_text("".join(json.dumps(row[..., None].tolist()) + "\n" for row in rows))
