from machines import about, problems


def test_versions_are_reported_and_missing_ones_are_none(machine):
    found = {"tensorflow-cpu": "2.21.0", "numpy": "2.0"}
    machine.answers["installed_version"] = lambda *names: next(
        filter(None, map(found.get, names)), None
    )
    report = machine.look()
    (finding,) = about(report, "versions")
    assert finding.facts["tensorflow"] == "2.21.0"
    assert finding.facts["horovod"] is None
    assert any(line.startswith("problem  keras: is not installed") for line in problems(report))
    assert not any("horovod" in line for line in problems(report))
    named = problems(machine.look(distribution="horovod"))
    line = "problem  horovod: is not installed, but --distribution horovod needs it: use "
    assert any(each.startswith(line) for each in named)


def test_a_clock_before_the_package_was_installed_is_a_problem(machine):
    machine.answers["now"] = lambda: 0.0
    (finding,) = about(machine.look(), "clock")
    assert finding.level == "problem"
    assert finding.text.startswith("1970-01-01T00:00:00+00:00")
