from trainer import entry
from trainer.platforms.base import Seen


def test_debug_is_a_flag_of_containers_too_and_reaches_what_they_start(tmp_path):
    seen = Seen(env={}, argv=["--debug", "--steps", "3"], root=tmp_path)
    plan = entry.make_plan(seen)
    assert plan.command.argv[-3:] == ("--debug", "--steps", "3")
