"""That hostile programs really run, as each account, and that what they try is told as it was."""

from pathlib import Path

import pytest

from tests.security.hostile import Camp, HostileWorld

BODY = """
REPORT["plan"] = PLAN
REPORT["uid"] = os.getuid()
REPORT["reads"] = tried(lambda: open("/opt/template/body.py").read(2))
REPORT["absent"] = tried(lambda: open("/nowhere"))
REPORT["mounts"] = call("mount", b"none", b"/tmp", b"tmpfs", 0, None)
"""


def test_a_program_runs_in_a_workspace(camp: Camp) -> None:
    """It gets its plan, and reports what worked and what did not."""
    found = camp.inside(BODY, {"n": 1})
    assert found["plan"] == {"n": 1}
    assert found["reads"].startswith("done: ")
    assert (found["absent"], found["mounts"]) == ("ENOENT", "EPERM")


def test_the_account_is_the_driver_s(camp: Camp, account: str) -> None:
    """An ordinary user's driver is one, and its workspaces belong to that user."""
    box = camp.start("report()")
    box.report()
    uids = {Path(f"/proc/{pid}").stat().st_uid for pid in box.pids()}
    assert Path(f"/proc/{camp.keeper.pid}").stat().st_uid not in uids - {box.home.stat().st_uid}
    assert (Path(f"/proc/{camp.keeper.pid}").stat().st_uid == 0) == (account == "root")
    assert 0 not in uids
    box.destroy()


def test_a_program_that_crashes_fails_its_test(camp: Camp) -> None:
    """A hostile program that could not try anything does not count as one that was stopped."""
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        camp.inside("1 / 0")


def test_a_program_runs_beside_the_agent(hostile_world: HostileWorld) -> None:
    """An attacker's task runs it, and its report comes back."""
    found = hostile_world.run(BODY, ["it's"])
    assert found["plan"] == ["it's"]
    assert found["mounts"] == "EPERM"
