"""A clean stop: within 15 s, with exit code 0, no process left, and everything indexed later."""

import os
import signal

import pytest

import media
from camera import Mount
from procs import procs_of

ONE = Mount("one", bframes=2)


@pytest.fixture
def running(lab):
    camera = lab.camera(ONE)
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}},
                        recording={"segment": "2s", "timeout": "5s"})
    keepframe.start().wait_ready()
    keepframe.wait_sealed("one", 1)
    keepframe.wait_open("one", longer_than_us=600_000)
    return keepframe, camera


def own_procs(keepframe):
    return [proc for proc in procs_of(keepframe.folder) if proc.program != "testcam"]


def assert_all_indexed_after_a_restart(keepframe, build):
    left = [path.name for path in keepframe.cache_files("one")]
    run = keepframe.catalog("SELECT max(run) FROM footage")[0][0]
    keepframe.start().wait_ready()
    keepframe.wait_for("what was left is sealed", lambda: {
        f"{row.run}-{row.number:06}.mp4" for row in keepframe.sealed("one")} >= set(left))
    rows = [row for row in keepframe.sealed("one") if row.run == run]
    assert [row.number for row in rows] == list(range(len(rows)))
    kept = [picture for row in rows
            for picture in media.picture_hashes(keepframe.segment_file(row), "h264")]
    sent = ONE.sent_pictures(build)
    begin = sent.index(kept[0])
    assert kept == (sent * 2)[begin:begin + len(kept)]


def test_sigterm_stops_cleanly_and_everything_is_indexed_after_a_restart(running, build):
    keepframe, _ = running
    keepframe.stop(signal.SIGTERM)
    assert own_procs(keepframe) == []
    assert not (keepframe.runtime / "control.sock").exists()
    assert_all_indexed_after_a_restart(keepframe, build)


def test_ctrl_c_in_a_terminal_reaches_all_processes_and_stops_as_cleanly(running, build):
    keepframe, _ = running
    os.killpg(keepframe.process.pid, signal.SIGINT)
    keepframe.wait_stopped()
    assert own_procs(keepframe) == []
    assert_all_indexed_after_a_restart(keepframe, build)


def test_a_second_ctrl_c_does_no_harm(running):
    keepframe, _ = running
    os.killpg(keepframe.process.pid, signal.SIGINT)
    os.killpg(keepframe.process.pid, signal.SIGINT)
    keepframe.wait_stopped()
    assert own_procs(keepframe) == []


def test_it_stops_as_fast_while_a_camera_is_stalled(running):
    keepframe, camera = running
    camera.stall()
    keepframe.stop()
    assert own_procs(keepframe) == []
    camera.resume()


@pytest.mark.parametrize("name", ["keepframe-indexer", "keepframe-webui"])
def test_it_stops_though_a_program_is_frozen(running, name):
    keepframe, _ = running
    os.kill(keepframe.wait_program(name), signal.SIGSTOP)
    keepframe.stop()
    assert own_procs(keepframe) == []


def test_it_stops_as_fast_while_a_client_reads_slowly(running):
    import socket
    keepframe, _ = running
    rows = keepframe.sealed("one")
    host, port = (keepframe.runtime / "webui.address").read_text().strip().split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(f"GET /video/one/main.mp4?start={rows[0].start_us / 1e6}&duration=1d "
                     f"HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert slow.recv(12) == b"HTTP/1.1 200"
        keepframe.stop()
    assert own_procs(keepframe) == []


def test_a_second_daemon_on_the_same_folders_refuses_to_run(running, lab):
    keepframe, _ = running
    rival = lab.keepframe("rival", data=keepframe.data, is_rival=True)
    rival.config.write_text(keepframe.config.read_text())
    assert rival.run_to_end() == 1
    assert rival.log_lines(str(keepframe.runtime), "another keepframe", f"{keepframe.process.pid}")
    assert keepframe.get("/healthz").status == 200
