"""The line and the exit code of a command that failed."""

from __future__ import annotations

from trainer.cli.endings import ending_of


class ResourceExhaustedError(Exception):
    """As TensorFlow's, which takes seconds to import."""


def test_a_tensor_without_room_says_what_to_do():
    message = "OOM when allocating tensor with shape[64,1024] and type float on GPU:0"
    node = f"{{{{function_node __wrapped__Add_device_/job:localhost/GPU:0}}}} {message} [Op:Add]"
    ending = ending_of(ResourceExhaustedError(node))
    assert ending and ending.code == 2
    assert ending.line == (
        f"error: out of memory: {message}; lower --batch-size, or take a machine with more memory"
    )
    assert ending_of(ResourceExhaustedError("too many requests")) is None
