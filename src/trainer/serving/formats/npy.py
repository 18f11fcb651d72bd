"""npy: NumPy's format of one array, whose first dimension is the instances."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

from trainer.data import NpyHeaderError, read_npy_header
from trainer.serving.formats.outputs import Arrays, ResponseFormat, as_rows, tables
from trainer.serving.formats.request import Form, PredictRequest, checked_request, choose_signature
from trainer.serving.http.errors import bad_request, shown_value
from trainer.serving.models.signature import Signature, Tensor


def read(
    body: bytes, signatures: Mapping[str, Signature], name: str | None = None
) -> PredictRequest:
    """Read a body of the type application/x-npy.

    An array may also be a single instance, or have flat rows, where its size allows one reading.

    Raises:
        HTTPError: The body is no npy file, or does not fit the signature.
    """
    signature = choose_signature(signatures, name)
    tensor = signature.only_input("npy")
    array = _array(body)
    made = tensor.fitted(_typed(array, tensor), single=True)
    # A request without rows gets a response without rows.
    form = Form.ROWS if made.ndim else Form.COLUMNS
    return checked_request(signature, {tensor.name: made}, form)


def _array(body: bytes) -> np.ndarray:
    file = io.BytesIO(body)
    try:
        header = read_npy_header(file)
    except NpyHeaderError as error:
        raise bad_request(f"npy: the header cannot be read ({shown_value(error)})") from None
    dtype, shape, start = header.dtype, header.shape, header.offset
    if dtype.hasobject or not dtype.itemsize or any(size < 0 for size in shape):
        raise bad_request(f"npy: an array of {dtype} {list(shape)}; expected numbers")
    # Checked before any memory is allocated, as a header can claim any shape.
    if len(body) - start != header.size:
        raise bad_request(
            f"npy: {len(body) - start} bytes of values; the header calls for {header.size}"
        )
    flat = np.frombuffer(body, dtype, offset=start)
    try:
        return flat.reshape(shape, order="F" if header.is_fortran else "C")
    except (ValueError, TypeError) as error:
        # More dimensions than NumPy supports, or huge ones beside one of size 0.
        raise bad_request(f"npy: no array has this shape ({shown_value(error)})") from None


def _typed(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    if tensor.is_text and array.dtype.kind in "SU":
        try:
            flat = [v if isinstance(v, bytes) else v.encode() for v in array.ravel().tolist()]
        except (UnicodeEncodeError, SystemError):
            raise bad_request("npy: a string has a character that Unicode has not") from None
        made = np.empty(len(flat), object)
        made[:] = flat
        return made.reshape(array.shape)
    # float64 may become float32, say, but floats never become integers.
    if tensor.is_text or not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
        raise bad_request(f"npy: an array of {array.dtype}; expected {tensor.type_name}")
    if tensor.dtype.kind in "iu" and array.size:
        limits = np.iinfo(tensor.dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise bad_request(f"npy: values out of the range of {tensor.type_name}")
    with np.errstate(over="ignore"):
        return np.asarray(array, tensor.dtype, order="C")


def _write(outputs: Arrays, form: Form) -> bytes:
    """Write a single output as it is; several side by side, in the order of their names."""
    if len(outputs) == 1:
        (table,) = outputs.values()
    else:
        table = np.concatenate(tables(as_rows(outputs)), axis=1)
    file = io.BytesIO()
    np.lib.format.write_array(file, table, version=(1, 0), allow_pickle=False)
    return file.getvalue()


RESPONSE = ResponseFormat(write=_write, forms=(Form.ROWS, Form.COLUMNS), strings=False)
