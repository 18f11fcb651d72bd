"""Keras' own file of MNIST, and a folder of arrays."""

from pathlib import Path

import numpy as np
from digits import colours, digits

keras = Path.home() / ".keras/datasets"
keras.mkdir(parents=True)
(x, y), (x_test, y_test) = digits("train", 1000), digits("test", 200)
np.savez(keras / "mnist.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
folder = Path("cifar10")
folder.mkdir()
for split in ("train", "test"):
    images, labels = colours(split, 300)
    np.save(folder / f"x_{split}.npy", images)
    np.save(folder / f"y_{split}.npy", labels)
