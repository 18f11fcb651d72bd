"""Find in an error of TensorFlow or Keras what is wrong, among the lines on where it happened."""

from __future__ import annotations

import re

from trainer.runtime import output
from trainer.runtime.display import printable

MOST_CHARACTERS = 300
# Terminal codes: Keras prints its messages in bold.
_CODES = re.compile(r"\x1b\[[0-9;]*m")
# The place in TensorFlow's graph before a message, and the operation after it.
_NODE = re.compile(r"\{\{(?:function_node|node) [^{}]*\}\}")
_GRAPH_NODE = re.compile(r" for '\{\{node [^{}]*\}\} = [^']*'")
_OPERATION = re.compile(r"\s*\[Op:[^\]]*\](?: name:.*)?$")
# tf.data puts this before the message of a user's function.
_IN_FUNCTION = re.compile(r"Error in user-defined function passed to .*?: Iterator::[\w:\[\]]+: ")
# Lines on the place.
_PLACE = (
    "Exception encountered when calling", "in user code:", "Graph execution error:",
    "Detected at node", "<stack traces unavailable>", "Could not automatically infer the output",
)  # fmt: skip
# After one of these, and before the message where none has come, only places follow.
_PLACES = (
    "[[", "Arguments received by", "Call arguments received", "Traceback (most recent call last)",
    "Original stack trace", "Stack trace for op",
)  # fmt: skip
# Messages of TensorFlow and Python when code reads a tensor's value, which only a step has.
_ASKS_VALUE = re.compile(
    r"symbolic `?tf\.Tensor`? .*(?:Python `bool`|NumPy|numpy)|'SymbolicTensor' object has no"
    r"|not '?(?:SymbolicTensor|KerasTensor)|KerasTensor cannot be used as input to a TensorFlow"
)
_NO_VALUE = (
    "Python (if, float, NumPy) asks a tensor for its value, and steps are compiled before there "
    "is one; use keras.ops, or tf.where and tf.cond"
)
_FRAME = re.compile(r'File "[^"]*", line \d+')
_TYPE = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Warning|Interrupt|Exit|Iteration)(?:: |$)")


def message_lines(text: str) -> list[str]:
    """Return the lines of a message that say what is wrong.

    Args:
        text: As TensorFlow, Keras or Python wrote it, perhaps with a traceback before or after.
    """
    found: list[str] = []
    after_frame = False
    for raw in _CODES.sub("", text).splitlines():
        line = raw.strip()
        # A frame's line of source stands under it, without an empty line between.
        is_source, after_frame = after_frame and bool(line), bool(_FRAME.match(line))
        if is_source or after_frame or not line.strip("^~ "):
            continue
        line = _NODE.sub("", line, count=1).strip() if line.startswith("{{") else line
        if line.startswith(_PLACES):
            if found:
                break
            continue
        line = _IN_FUNCTION.sub("", _GRAPH_NODE.sub("", _OPERATION.sub("", line)))
        if line and not line.startswith(_PLACE):
            found.append(line)
    return found


def error_message(error: BaseException, *, longest: int = MOST_CHARACTERS) -> str:
    """Return what an error says is wrong, in one line with secrets masked.

    Args:
        error: Of any kind.
        longest: Characters that are kept.

    Returns:
        The first line of its message that is not about the place, else the name of its type.
    """
    text = str(error)
    if isinstance(error, KeyError) and len(error.args) == 1 and "\n" in str(error.args[0]):
        # Keras adds lines to a key that is missing, and Python shows keys with escapes.
        text = str(error.args[0])
    lines = message_lines(text)
    if lines and _ASKS_VALUE.search(lines[0]):
        return _NO_VALUE
    # Secrets are masked whole, before a cut could leave half of one.
    text = output.clean(" ".join(lines[0].split())) if lines else type(error).__name__
    return printable(text, longest=longest)


def typed_message(error: BaseException, *, longest: int = MOST_CHARACTERS) -> str:
    """Return the type of an error and what it says is wrong, as Python's last line of a traceback.

    Where TensorFlow carries an error of Python's as text, the type is that of the error carried.
    """
    name, text = type(error).__name__, error_message(error, longest=longest)
    return text if text == name or _TYPE.match(text) else f"{name}: {text}"
