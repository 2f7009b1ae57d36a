"""A camera that freezes, dies or refuses is noticed, tried again, and recorded when it is back."""

import socket
import threading

import os
import signal

import pytest

from camera import Mount
from procs import wait_gone

ONE, TWO = Mount("one", length=60), Mount("two", length=60)


@pytest.fixture
def frozen(lab):
    """A Keepframe that records a camera that can be stalled, and another that stays well."""
    camera, well = lab.camera(ONE), lab.camera(TWO)
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}, "two": {"url": well.url("two")}},
                        recording={"segment": "2s", "timeout": "2s"})
    keepframe.start().wait_ready()
    keepframe.wait_sealed("one", 1)
    return keepframe, camera


def state_of(keepframe, name):
    listed = keepframe.get(f"/api/v1/cameras/{name}").expect(200).json
    return listed["streams"][0]["state"]


def test_a_stalled_camera_is_recognised_restarted_and_recorded_again(frozen):
    keepframe, camera = frozen
    well, pid = keepframe.wait_recorder("two"), keepframe.wait_recorder("one")
    run = keepframe.wait_open("one").run
    recording = state_of(keepframe, "one")
    camera.stall()
    keepframe.wait_for("its recorder is given up", lambda: keepframe.recorder_pid("one") != pid)
    keepframe.wait_for("its state says so", lambda: state_of(keepframe, "one") != recording)
    keepframe.wait_for("what came before the stall is filed", lambda: all(
        row.state == "sealed" for row in keepframe.segments("one") if row.run == run))
    camera.resume()
    keepframe.wait_sealed("one", 1, after=[row for row in keepframe.sealed("one")
                                           if row.run == run][-1])
    assert keepframe.wait_open("one", run_after=run)
    keepframe.wait_for("its state is good again",
                       lambda: state_of(keepframe, "one") == recording)
    assert keepframe.recorder_pid("two") == well, "the other camera's recorder was touched"
    (reason,) = keepframe.wait_for("the run's end is in the catalog", lambda: keepframe.catalog(
        "SELECT reason FROM run WHERE run = ? AND end_us > 0", run))
    assert reason[0]
    assert keepframe.log_lines("one/main", reason[0]), f"the log does not say {reason[0]}"


def test_a_recorder_that_freezes_is_ended_and_replaced(frozen):
    """SIGSTOP: it says nothing any more and heeds no SIGTERM."""
    keepframe, _ = frozen
    well, pid = keepframe.wait_recorder("two"), keepframe.wait_recorder("one")
    run = keepframe.wait_open("one").run
    os.kill(pid, signal.SIGSTOP)
    keepframe.wait_recorder("one", other_than=pid)
    wait_gone(pid, context=keepframe.log_tail)
    keepframe.wait_open("one", run_after=run)
    assert keepframe.recorder_pid("two") == well, "the other camera's recorder was touched"
    (reason,) = keepframe.wait_for("the run's end is in the catalog", lambda: keepframe.catalog(
        "SELECT reason FROM run WHERE run = ? AND end_us > 0", run))
    assert reason == ("stalled",)


def test_a_camera_that_dies_and_comes_back_is_recorded_again(frozen):
    keepframe, camera = frozen
    run = keepframe.wait_open("one").run
    camera.kill()
    keepframe.wait_for("its recorder has ended and is tried again", lambda: keepframe.log_lines(
        "one/main", "refused"))
    camera.start()
    keepframe.wait_open("one", run_after=run)
    assert keepframe.get("/healthz").status == 200  # a camera that is down does not fail it


def test_a_camera_that_is_not_there_at_the_start_is_recorded_when_it_comes(lab):
    camera = lab.camera(ONE)
    camera.kill()
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}}).start().wait_ready()
    keepframe.wait_log("one/main", "refused")

    def shown():
        (stream,) = keepframe.get("/api/v1/cameras/one").expect(200).json["streams"]
        return stream["state"], stream["reason"]

    keepframe.wait_for("the API says why", lambda: shown() == ("waiting", "refused"))
    camera.start()
    keepframe.wait_open("one")
    keepframe.wait_for("and then that all is well", lambda: shown() == ("recording", None))


@pytest.fixture
def babbler():
    """The port of a server whose answers never end."""
    def talk(peer):
        try:
            while True:
                peer.sendall(b"RTSP/1.0 200 OK\r\n" + 100 * b"X-More: and more\r\n")
        except OSError:
            peer.close()

    def serve():
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(peer,), daemon=True).start()

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_camera_that_stalls_again_and_again_is_told_once(lab, babbler):
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": f"rtsp://127.0.0.1:{babbler}/", "timeout": "1s"}})
    keepframe.start()

    def stalls():
        stream = keepframe.ask("status")["result"]["streams"][0]
        return stream["last_reason"] == "stalled" and stream["restarts"]
    keepframe.wait_for("it was given up twice", lambda: stalls() >= 2, timeout=120)
    assert len(keepframe.log_lines("one/main", "(stalled)", " warning: ")) == 1
