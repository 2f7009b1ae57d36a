"""A program of ours that hangs is noticed by its silence and replaced; recording goes on meanwhile."""

import os
import signal
import socket

import pytest

from camera import Mount
from procs import wait_gone

ONE = Mount("one", length=60)


@pytest.fixture
def running(lab):
    camera = lab.camera(ONE)
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}},
                        recording={"segment": "2s", "timeout": "5s"})
    keepframe.start(env=lab.env(KEEPFRAME_TEST_SILENCE_MS="4000")).wait_ready()
    return keepframe


@pytest.mark.parametrize("name", ["indexer", "webui"])
def test_a_frozen_program_is_replaced(running, name):
    keepframe = running
    recorder = keepframe.wait_recorder("one")
    pid = keepframe.wait_program(f"keepframe-{name}")
    keepframe.wait_for("its heartbeat is heard", lambda: keepframe.ask("status")["result"][name][
        "heartbeat_age_ms"] is not None)
    os.kill(pid, signal.SIGSTOP)
    wait_gone(pid, timeout=60, context=keepframe.log_tail)
    keepframe.wait_program(f"keepframe-{name}", other_than=pid)
    keepframe.wait_for("all is well again", lambda: keepframe.get("/healthz").status == 200)
    status = keepframe.ask("status")["result"]
    assert status[name]["hangs"] == 1 and status[name]["restarts"] == 1
    assert "no sign of life" in status[name]["last_failure"]
    other = "webui" if name == "indexer" else "indexer"
    assert status[other]["hangs"] == 0
    assert keepframe.log_lines(f"keepframe-{name}", "gave no sign of life", "killed")
    assert keepframe.recorder_pid("one") == recorder, "recording was touched"


def test_programs_that_are_well_are_left_alone(running):
    """Their heartbeats are heard for longer than the limit."""
    keepframe = running
    pids = {name: keepframe.wait_program(f"keepframe-{name}") for name in ("indexer", "webui")}
    host, port = (keepframe.runtime / "webui.address").read_text().strip().split(":")
    with socket.create_connection((host, int(port))):  # a client that says nothing
        keepframe.wait_sealed("one", 3)
    status = keepframe.ask("status")["result"]
    for name, pid in pids.items():
        assert status[name]["pid"] == pid and status[name]["hangs"] == 0
