from trainer.training.steps_per_call import CALL_SECONDS, StepsPerCall


def grow(pace: StepsPerCall, seconds_a_step: float, left: int = 10_000) -> list[int]:
    """The steps of ten calls, each step taking so long."""
    counts = []
    for _ in range(10):
        counts.append(pace.steps(left))
        with pace:
            pass
        pace.seconds = counts[-1] * seconds_a_step
    return counts


def test_calls_begin_with_one_step_and_grow_to_the_most_allowed():
    assert grow(StepsPerCall(100), 1e-4) == [1, 1, 8, 64, *[100] * 6]


def test_calls_take_as_many_steps_as_fit_the_time():
    assert grow(StepsPerCall(100), CALL_SECONDS / 20)[-1] == 20
    assert grow(StepsPerCall(100), 10 * CALL_SECONDS) == [1] * 10


def test_no_call_takes_more_steps_than_are_left():
    assert max(grow(StepsPerCall(100), 1e-4, left=7)) == 7


def test_time_is_measured_around_the_call():
    pace = StepsPerCall(1)
    pace.steps(left=1)
    with pace:
        sum(range(200_000))
    assert pace.seconds > 0
    assert pace.cpu_seconds > 0
