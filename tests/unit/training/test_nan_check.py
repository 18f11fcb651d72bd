import numpy as np
import pytest

from trainer.config.errors import PeerError, UserError
from trainer.training.checkpoint_state import Progress
from trainer.training.nan_check import check_finite

pytestmark = pytest.mark.tensorflow


def test_who_read_what_made_the_loss_infinite_names_it_and_the_others_do_not():
    where = {"progress": Progress(step=4), "batch_size": 8, "stream": None}
    losses = np.array([1.0, np.nan])
    with pytest.raises(UserError, match="step 6: the loss is nan; its batch came from"):
        check_finite(losses, np.array([0.5, np.nan]), **where)
    # A consequence, so that the first cause stays the other one's.
    with pytest.raises(PeerError, match="step 6: another process's loss"):
        check_finite(losses, np.array([0.5, 0.5]), **where)
