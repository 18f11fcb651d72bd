"""Keep the user's own settings of Keras out of a run.

Keras reads `keras.json` in `KERAS_HOME` or `~/.keras`, and a few variables, when TensorFlow imports
it. Another backend would end the run; another type, epsilon or order of channels would give another
model without a word.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from trainer.config import UserError

_VARIABLES = {
    "KERAS_BACKEND": "tensorflow",
    "TF_USE_LEGACY_KERAS": "0",
    # For JAX; the variable overrides `nnx_enabled` of keras.json.
    "KERAS_NNX_ENABLED": "false",
}
# Keras' own defaults, and the values without which it raises (keras/src/backend/config.py).
_DEFAULTS = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
_ACCEPTED = {
    "floatx": ("float16", "float32", "float64"),
    "image_data_format": ("channels_last", "channels_first"),
}


def claim() -> list[str]:
    """Set Keras to TensorFlow, before either of the two is imported.

    Returns:
        The user's settings that are not used, as `NAME=VALUE`.

    Raises:
        UserError: Keras could not start with its keras.json.
    """
    not_used = [
        f"{name}={os.environ[name]}"
        for name, own in _VARIABLES.items()
        if os.environ.get(name, own) not in (own, "")
    ]
    os.environ.update(_VARIABLES)
    file = _folder() / "keras.json"
    found = _read(file)
    for name, own in {"backend": "tensorflow", **_DEFAULTS}.items():
        if found.get(name, own) != own:
            not_used.append(f"{name}={found[name]} in {file}")
    return not_used


def reset() -> None:
    """Give Keras, which has been imported, its own defaults."""
    import keras

    for name, value in _DEFAULTS.items():
        getattr(keras.config, f"set_{name}")(value)


def _folder() -> Path:
    """Return the folder in which Keras looks for keras.json."""
    home = Path("~").expanduser()
    own = home if os.access(home, os.W_OK) else Path("/tmp")
    return Path(os.environ.get("KERAS_HOME", own / ".keras")).expanduser()


def _read(file: Path) -> dict[str, Any]:
    if not os.path.exists(file):  # noqa: PTH110
        # As in Keras, a folder without permission counts as empty, and is no error.
        return {}
    try:
        found = json.loads(file.read_text())
    except ValueError:
        # Keras ignores a file that is no JSON, too.
        return {}
    except OSError as error:
        raise UserError(
            subject=file,
            problem=f"Keras cannot read its settings: {error.strerror}",
            remedy="set KERAS_HOME to another folder",
        ) from None
    wrong = None if isinstance(found, dict) else "an object of settings"
    if wrong is None:
        for name, accepted in _ACCEPTED.items():
            if found.get(name, accepted[0]) not in accepted:
                wrong = f"{name} to be one of {', '.join(accepted)}"
        if not isinstance(found.get("epsilon", 0.1), float):
            wrong = "epsilon to be a number such as 1e-7"
    if wrong:
        raise UserError(
            subject=file,
            problem=f"Keras does not start with it: expected {wrong}",
            remedy="correct it or remove it",
        )
    return found
