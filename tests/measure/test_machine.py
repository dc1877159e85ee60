"""What reports say of the machine."""

from tfx_shrink.measure.machine import describe_machine


def test_the_machine_is_told_in_two_lines():
    machine = describe_machine()
    assert machine.cores >= 1
    assert machine.memory_bytes > 2**28
    first, second = str(machine).splitlines()
    assert first.startswith(machine.cpu)
    assert f"{machine.cores} cores" in first
    assert f"tensorflow {machine.versions['tensorflow']}" in second
