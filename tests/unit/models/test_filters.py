import numpy as np

from trainer.models.filters import edge_bank


def test_every_filter_ignores_a_flat_area_and_has_the_same_length():
    bank = edge_bank()
    assert bank.shape == (5, 5, 1, 16)
    assert bank.dtype == np.float32
    np.testing.assert_allclose(bank.sum(axis=(0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(bank.reshape(25, 16), axis=0), 1.3, rtol=1e-6)


def test_the_first_filter_answers_to_a_vertical_edge_and_the_opposite_one_negatively():
    bank, edge = edge_bank(), np.zeros((5, 5))
    edge[:, 3:] = 1
    answers = np.einsum("xy,xycf->f", edge, bank)[:8]
    assert answers.argmax() == 0
    assert answers.argmin() == 4
