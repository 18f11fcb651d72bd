"""Errors in the export of a user's model: those that the code of the module causes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from trainer.config import RetryableError, UserError
from trainer.models import ModelModule, describe, is_foreign
from trainer.training.export import ExportError


@contextlib.contextmanager
def naming_module(module: ModelModule, *, checkpoints: str | None = None) -> Iterator[None]:
    """Raise a UserError that names the module, in place of an error in the block's export.

    Args:
        module: Makes the model, and perhaps its signatures.
        checkpoints: The folder of the run's checkpoints, of which the model can be exported later.

    Raises:
        UserError: The code of the module fails, or its signatures answer otherwise than the model.
    """
    own = getattr(module.serving_input_fn, "subject", None)
    remedy = f"mend it, and run trainer export --checkpoint {checkpoints}" if checkpoints else None
    subject = own or f"--module {module.name}"
    try:
        yield
    except (UserError, RetryableError, OSError, MemoryError):
        raise
    except ExportError as error:
        if not own:
            raise
        raise UserError(subject=subject, problem=str(error), remedy=remedy) from error
    except Exception as error:
        if module.is_builtin or is_foreign(error):
            raise
        problem = f"the model cannot be exported: {describe(error)}"
        raise UserError(subject=subject, problem=problem, remedy=remedy) from error
