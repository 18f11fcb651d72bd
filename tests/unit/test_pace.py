from trainer.pace import CALL_SECONDS, Pace


def test_the_first_call_takes_as_many_steps_as_allowed():
    assert Pace(100).steps(left=1000) == 100
    assert Pace(100).steps(left=7) == 7


def test_later_calls_take_as_many_steps_as_fit_the_time():
    pace = Pace(100)
    pace.steps(left=1000)
    pace.seconds = 10 * CALL_SECONDS
    assert pace.steps(left=1000) == 10
    pace.seconds = 100 * CALL_SECONDS
    assert pace.steps(left=1000) == 1


def test_a_short_call_does_not_shorten_those_that_follow():
    pace = Pace(100)
    assert pace.steps(left=5) == 5
    pace.seconds = 5 * CALL_SECONDS / 1000
    assert pace.steps(left=1000) == 100


def test_time_is_measured_around_the_call():
    pace = Pace(1)
    pace.steps(left=1)
    with pace:
        sum(range(200_000))
    assert pace.seconds > 0
    assert pace.cpu_seconds > 0
