import pytest
from machines import Machine


@pytest.fixture
def machine(tmp_path):
    """A plain machine without GPUs, and what examines it: `machine.look(env, **flags)`."""
    return Machine(tmp_path)
