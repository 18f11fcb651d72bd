"""What a person reads of an error: what is wrong, in one line, and not where in TensorFlow."""

from __future__ import annotations

import pytest

from trainer.runtime import error_message, message_lines, typed_message

NODE = "{{function_node __wrapped__IteratorGetNext_output_types_1_device_/job:localhost/CPU:0}}"
NEXT = "[Op:IteratorGetNext] name: "
IN_MAP = (
    "Error in user-defined function passed to MapDataset:7 transformation with iterator: "
    "Iterator::Root::Prefetch::ParallelMapV2: "
)
TRACEBACK = """Traceback (most recent call last):

  File "/env/site-packages/tensorflow/script_ops.py", line 269, in __call__
    ret = func(*args)
          ^^^^^^^^^^^

  File "/home/me/data.py", line 7, in rows
    raise ValueError("row 3 has no label")
"""
# Each as TensorFlow 2.21 and Keras 3.15 print it.
MESSAGES = [
    (f"{NODE} /data/a; No such file or directory {NEXT}", "/data/a; No such file or directory"),
    (
        f"{NODE} {IN_MAP}StringToNumberOp could not correctly convert string: x\n"
        f"\t [[{{{{node StringToNumber}}}}]] {NEXT}",
        "StringToNumberOp could not correctly convert string: x",
    ),
    (f"{NODE} ValueError: row 3 has no label\n{TRACEBACK}", "ValueError: row 3 has no label"),
    (f"{NODE} {IN_MAP}KeyError: 'age'\n{TRACEBACK}", "KeyError: 'age'"),
    (
        "Graph execution error:\n\nDetected at node PyFunc defined at (most recent call last):\n"
        f"<stack traces unavailable>\n{IN_MAP}KeyError: 'age'\n{TRACEBACK}",
        "KeyError: 'age'",
    ),
    (
        "Graph execution error:\n\nDetected at node while/IteratorGetNext defined at (most recent "
        'call last):\n  File "/home/me/a.py", line 21, in <module>\n\n  File "/env/loop.py", line '
        "3, in t\n\nCannot add tensor to the batch\n\t [[{{node while/IteratorGetNext}}]] "
        "[Op:__inference_steps_540]",
        "Cannot add tensor to the batch",
    ),
    (
        'in user code:\n\n    File "/home/me/a.py", line 17, in f  *\n'
        "        return tf.ensure_shape(x, [3])\n\n    ValueError: Dimension 0 must be equal\n",
        "ValueError: Dimension 0 must be equal",
    ),
    (
        "Exception encountered when calling Sequential.call().\n\n\x1b[1mInput 0 of layer 'dense' "
        "is wrong\x1b[0m\n\nArguments received by Sequential.call():\n  • mask=None",
        "Input 0 of layer 'dense' is wrong",
    ),
    (f"{TRACEBACK}\nValueError: row 3 has no label", "ValueError: row 3 has no label"),
    (
        "Exception encountered when calling Net.call().\n\n\x1b[1mCould not automatically infer "
        "the output shape / dtype of 'net' (of type Net). Either the `Net.call()` is wrong, "
        "or you need more. Error encountered:\n\nwidth is odd\x1b[0m\n\nArguments received by Net",
        "width is odd",
    ),
    (
        "Dimension size must be divisible by 4 but is 21 for '{{node while/net/Reshape}} = "
        "Reshape[T=DT_FLOAT](while/Next, while/net/shape)' with input shapes: [?,4], [2].",
        "Dimension size must be divisible by 4 but is 21 with input shapes: [?,4], [2].",
    ),
    ("Socket closed", "Socket closed"),
    ("{{node}} is not a name", "{{node}} is not a name"),
    ("[1, 2] is no shape\nsecond", "[1, 2] is no shape"),
]


@pytest.mark.parametrize(("text", "expected"), MESSAGES)
def test_a_message_is_what_is_wrong_and_not_the_place(text, expected):
    assert error_message(RuntimeError(text)) == expected


@pytest.mark.parametrize("text", ["", "\n", TRACEBACK, f"{NODE} {NEXT}", "[[{{node a}}]]"])
def test_an_error_without_a_message_has_the_name_of_its_type(text):
    assert error_message(RuntimeError(text)) == typed_message(RuntimeError(text)) == "RuntimeError"


def test_lines_after_the_first_are_kept_for_who_wants_them():
    text = f"{NODE} Incompatible shapes: [2] vs. [3]\nsecond line\n\t [[{{{{node add}}}}]]\nthird"
    assert message_lines(text) == ["Incompatible shapes: [2] vs. [3]", "second line"]


def test_an_error_that_tensorflow_carries_keeps_its_own_type():
    assert typed_message(RuntimeError(MESSAGES[3][0])) == "KeyError: 'age'"
    assert typed_message(RuntimeError(MESSAGES[0][0])) == f"RuntimeError: {MESSAGES[0][1]}"


def test_a_message_is_cut_and_cannot_control_a_terminal():
    text = error_message(RuntimeError("a\x07" + "b" * 400), longest=50)
    assert text.startswith(r"a\x07bbb") and text.endswith("b…")
    assert text.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "Using a symbolic `tf.Tensor` as a Python `bool` is not allowed. You can attempt the",
        "Cannot convert a symbolic tf.Tensor (strided_slice:0) to a numpy array. This error may",
        "'SymbolicTensor' object has no attribute 'numpy'",
        "float() argument must be a string or a real number, not 'SymbolicTensor'",
    ],
)
def test_a_tensor_without_a_value_yet_is_not_explained_by_autograph(text):
    assert error_message(TypeError(text)).startswith("Python (if, float, NumPy) asks a tensor for")


def test_a_key_that_keras_has_put_lines_around_is_found():
    text = (
        "Exception encountered when calling Net.call().\n\n\x1b[1mage\x1b[0m\n\nArguments received"
    )
    assert typed_message(KeyError(text)) == "KeyError: age"
    assert typed_message(KeyError("age")) == "KeyError: 'age'"
