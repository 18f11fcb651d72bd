"""TFRecord files of any features, written without TensorFlow."""

import io

import numpy as np
from PIL import Image

from trainer.data.formats.framing import frame
from trainer.data.formats.protobuf import field, to_varint


def feature(value):
    """A serialised `Feature` of the kind that the value's type says; lists as they are."""
    values = value if isinstance(value, list | np.ndarray) else [value]
    if len(values) and isinstance(values[0], bytes | str):
        texts = [one.encode() if isinstance(one, str) else one for one in values]
        return field(1, b"".join(field(1, one) for one in texts))
    if len(values) and isinstance(values[0], float | np.floating):
        return field(2, field(1, np.asarray(values, "<f4").tobytes()))
    numbers = b"".join(to_varint(int(one) & (2**64 - 1)) for one in values)
    return field(3, field(1, numbers))


def message(features, lists=None):
    """A serialised Example, or a SequenceExample whose lists hold a value for each frame."""

    def entries(named, serialised):
        return b"".join(
            field(1, field(1, name.encode()) + field(2, serialised(value)))
            for name, value in named.items()
        )

    raw = field(1, entries(features, feature))
    if lists is None:
        return raw
    frames = entries(lists, lambda values: b"".join(field(1, feature(one)) for one in values))
    return raw + field(2, frames)


def framed(messages):
    """The bytes of a TFRecord file."""
    return b"".join(frame(np.frombuffer(one, np.uint8)[None]).tobytes() for one in messages)


def write(path, messages, pack=bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pack(framed(messages)))
    return path


def encoded(image, kind="PNG", **options):
    """A picture of uint8 [height, width, channels]."""
    out = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(out, kind, **options)
    return out.getvalue()
