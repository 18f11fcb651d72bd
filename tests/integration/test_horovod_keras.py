"""Horovod's own Keras API on Keras 3, in scripts as users write them, on real ranks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from horovod_ranks import has_horovod, run_one, run_ranks

Ranks = list[dict[str, np.ndarray]]


@pytest.fixture(scope="module", autouse=True)
def horovod() -> None:
    has_horovod()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """Two ranks with DistributedOptimizer and `fit`."""
    return run_ranks("keras_fit.py", 2, tmp_path_factory.mktemp("fit"))


@pytest.fixture(scope="module")
def taped(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """Two ranks with a loop of their own."""
    return run_ranks("tape.py", 2, tmp_path_factory.mktemp("tape"))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """Four ranks, together and in two halves."""
    return run_ranks("sets.py", 4, tmp_path_factory.mktemp("four"))


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What each thing that is not supported raises."""
    out = tmp_path_factory.mktemp("refusals")
    run_one("refusals.py", out)
    return json.loads((out / "errors.json").read_text())


def equal(ranks: Ranks, case: str) -> None:
    """All ranks have the same bits, and have trained."""
    for other in ranks[1:]:
        np.testing.assert_array_equal(ranks[0][case], other[case])
    assert np.isfinite(ranks[0][case]).all()


def unequal(ranks: Ranks, case: str) -> None:
    assert not np.array_equal(ranks[0][case], ranks[1][case])


AVERAGED = ["adam", "sgd", "groups", "predivide", "accumulate", "sparse"]


@pytest.mark.parametrize("case", AVERAGED)
def test_fit_on_two_ranks_equals_one_process_on_their_batches_joined(fitted: Ranks, case: str):
    """From unequal weights, on unequal data: broadcast and averaged gradients, or they differ."""
    equal(fitted, case)
    np.testing.assert_allclose(fitted[0][case], fitted[0][f"{case}/joined"], atol=1e-5)


def test_fp16_compression_costs_no_more_than_half_precision(fitted: Ranks):
    equal(fitted, "fp16")
    difference = np.abs(fitted[0]["fp16"] - fitted[0]["fp16/joined"]).max()
    assert 0 < difference < 1e-2


def test_groups_named_by_variables_reduce_each_gradient(fitted: Ranks):
    """Two layers' variables have the same name: by name one of them would not be trained."""
    equal(fitted, "named groups")
    np.testing.assert_allclose(fitted[0]["named groups"], fitted[0]["groups"], atol=1e-6)


def test_a_sum_is_the_average_times_the_number_of_ranks(fitted: Ranks):
    equal(fitted, "sum")
    np.testing.assert_allclose(fitted[0]["sum"], fitted[0]["groups"], atol=1e-6)


@pytest.mark.parametrize("case", ["sparse in groups", "sparse as dense"])
def test_sparse_gradients_are_averaged_alike_in_every_way(fitted: Ranks, case: str):
    equal(fitted, case)
    np.testing.assert_allclose(fitted[0][case], fitted[0]["sparse"], atol=1e-6)


def test_metrics_are_averaged_over_the_ranks(fitted: Ranks):
    own = [rank["callbacks/own val_mae"] for rank in fitted]
    assert abs(own[0] - own[1]) > 1e-3
    for rank in fitted:
        assert rank["callbacks/val_mae"][-1] == pytest.approx(np.mean(own), rel=1e-5)
    equal(fitted, "callbacks/loss")
    equal(fitted, "callbacks")


def test_the_learning_rate_warms_up_then_follows_its_schedule(fitted: Ranks):
    """From a half, on two ranks, over two epochs; then a tenth of it in each."""
    for rank in fitted:
        np.testing.assert_allclose(rank["callbacks/lr"], [0.0075, 0.01, 1e-3, 1e-4], rtol=1e-5)
        assert len(rank["callbacks/warnings"]) == 1


def test_a_saved_model_loads_with_and_without_horovod(fitted: Ranks):
    assert fitted[0]["saved/optimizer"]
    for rank in fitted:
        assert rank["saved/iterations"] == rank["loaded/iterations"] > 0
    equal(fitted, "loaded")


def test_an_overflow_on_one_rank_skips_the_step_on_all(fitted: Ranks):
    equal(fitted, "loss scale")
    for rank in fitted:
        assert rank["loss scale/iterations"] == 3
        assert rank["loss scale/scale"] == 128.0


def test_local_layers_stay_each_rank_s_own(fitted: Ranks, taped: Ranks):
    for ranks in (fitted, taped):
        unequal(ranks, "partial/local")
        equal(ranks, "partial/shared")


def test_jit_compile_is_turned_off_with_a_warning(fitted: Ranks):
    equal(fitted, "jit")
    assert fitted[0]["jit/warned"]
    np.testing.assert_array_equal(fitted[0]["jit"], fitted[0]["adam"])


def test_the_tape_averages_gradients(taped: Ranks):
    equal(taped, "tape")
    np.testing.assert_allclose(taped[0]["tape"], taped[0]["tape/joined"], atol=1e-5)


@pytest.mark.parametrize(("case", "tolerance"), [("fp16", 1e-2), ("groups", 1e-6)])
def test_the_tape_averages_compressed_and_grouped_gradients(
    taped: Ranks, case: str, tolerance: float
):
    equal(taped, case)
    np.testing.assert_allclose(taped[0][case], taped[0]["tape"], atol=tolerance)


def test_two_tapes_in_one_step_do_not_mix(taped: Ranks):
    equal(taped, "two tapes")


@pytest.mark.parametrize("inplace", [False, True])
def test_broadcast_gives_every_rank_the_root_s_variables(taped: Ranks, inplace: bool):
    unequal(taped, f"broadcast {inplace}/before")
    equal(taped, f"broadcast {inplace}")
    np.testing.assert_array_equal(
        taped[0][f"broadcast {inplace}"], taped[1][f"broadcast {inplace}/before"]
    )


def test_elastic_state_synchronizes_saves_and_restores(taped: Ranks):
    for rank in taped:
        assert rank["elastic/built"]
        assert rank["elastic/epoch"] == rank["elastic/restored epoch"] == 5
        np.testing.assert_array_equal(rank["elastic/restored"], rank["elastic/synced"])
    equal(taped, "elastic/synced")
    unequal(taped, "elastic/trained")
    equal(taped, "elastic/synced again")
    np.testing.assert_array_equal(taped[0]["elastic/synced again"], taped[0]["elastic/trained"])


def test_four_ranks_equal_one_process_on_their_batches_joined(four: Ranks):
    equal(four, "all")
    np.testing.assert_allclose(four[0]["all"], four[0]["all/joined"], atol=1e-5)


def test_a_process_set_averages_within_itself(four: Ranks):
    equal(four[:2], "halves")
    equal(four[2:], "halves")
    unequal(four[1:3], "halves")
    np.testing.assert_allclose(four[0]["halves"], four[0]["halves/joined"], atol=1e-5)


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("backward_passes_per_step", "gradient_accumulation_steps=2"),
        ("backward_passes_per_step of horovod.tensorflow", "gradient_accumulation_steps=2"),
        ("Adasum", "only supports Average and Sum"),
        ("SyncBatchNormalization", "not supported on Keras 3"),
        ("twice", "DistributedOptimizer already"),
        ("LossScaleOptimizer outside", "goes inside the DistributedOptimizer"),
        ("mixed_float16", "goes inside the DistributedOptimizer"),
        ("float8", "does not support float8"),
        ("jit_compile", "give jit_compile=False"),
        ("BestModelCheckpoint", "ends in .keras"),
    ],
)
def test_what_is_not_supported_is_refused(errors: dict[str, str | None], case: str, error: str):
    assert error in (errors[case] or "no error")


def test_the_wheel_is_another_than_the_released_one():
    from importlib.metadata import version

    assert version("horovod") == "0.28.1+trainer1"


def test_a_tensor_does_not_wait_for_the_cycle_where_that_is_asked_for(tmp_path):
    # 40 cycles of 5 s would take longer than this may.
    for rank in run_ranks("wake.py", 2, tmp_path, timeout=100):
        np.testing.assert_array_equal(rank["sums"], 3)
