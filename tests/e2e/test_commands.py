"""keepframe restart, disable and enable; and reloads that need a look at another ffmpeg."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from camera import Mount
from waiting import wait_for

ONE, TWO = Mount("one", length=60), Mount("two", length=60)


@pytest.fixture
def running(lab):
    """A Keepframe that records the camera `yard` with the streams main and sub, and `door`."""
    camera = lab.camera(ONE, TWO)
    keepframe = lab.keepframe()
    cameras = {
        "yard": {"streams": {"main": {"url": camera.url("one")}, "sub": {"url": camera.url("two")}}},
        "door": {"url": camera.url("one")},
    }
    keepframe.configure(cameras).start().wait_ready()
    for name in pids_of(keepframe):
        wait_state(keepframe, name, "recording")
    return keepframe, cameras


STREAMS = ("door/main", "yard/main", "yard/sub")


def pids_of(keepframe):
    return {name: keepframe.recorder_pid(*name.split("/")) for name in STREAMS}


def status_of(keepframe, name):
    camera, stream = name.split("/")
    return keepframe.ask("status", camera=camera, stream=stream)["result"]


def wait_state(keepframe, name, state):
    return keepframe.wait_for(f"{name} is {state}",
                              lambda: status_of(keepframe, name)["state"] == state)


def said(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def config_status(keepframe):
    return keepframe.ask("status")["result"]["config"]


def test_restart_ends_and_starts_a_camera_or_one_of_its_streams(running):
    keepframe, _ = running
    before = pids_of(keepframe)
    assert said(keepframe.command("restart", "yard/sub")) == "1 stream restarted"
    keepframe.wait_recorder("yard", stream="sub", other_than=before["yard/sub"])
    assert status_of(keepframe, "yard/sub")["last_reason"] == "restart"
    middle = pids_of(keepframe)
    assert {name for name in STREAMS if middle[name] != before[name]} == {"yard/sub"}
    wait_state(keepframe, "yard/sub", "recording")

    assert said(keepframe.command("restart", "yard")) == "2 streams restarted"
    for stream in ("main", "sub"):
        keepframe.wait_recorder("yard", stream=stream, other_than=middle[f"yard/{stream}"])
    assert keepframe.recorder_pid("door") == before["door/main"]

    for argument, words in {"gate": "there is no camera gate", "yard/x": "no stream yard/x",
                            "/main": "CAMERA or CAMERA/STREAM", "yard/": "CAMERA or"}.items():
        done = keepframe.command("restart", argument)
        assert done.returncode != 0 and words in done.stderr
    assert keepframe.command("restart").returncode == 64


def test_disable_lasts_over_reloads_until_enable_or_a_restart_of_the_daemon(running):
    keepframe, cameras = running
    door = keepframe.recorder_pid("door")
    text = said(keepframe.command("disable", "yard/sub"))
    assert text.startswith("1 stream disabled, until `keepframe enable`")
    wait_state(keepframe, "yard/sub", "off")
    status = status_of(keepframe, "yard/sub")
    assert status["last_reason"] == "disabled"
    assert status["disabled_by_command"] and not status["enabled"]
    shown = said(keepframe.command("status", "yard/sub"))
    assert "disabled by a command" in shown and "file" not in shown and "in a row" not in shown
    assert "no stream disabled; 1 stream disabled already" in said(
        keepframe.command("disable", "yard/sub"))
    assert "no stream restarted; 1 stream not enabled" in said(
        keepframe.command("restart", "yard/sub"))

    # Over a reload that changes the stream, one that takes it away and one that brings it back.
    sub = cameras["yard"]["streams"].pop("sub")
    for change in ({**sub, "segment": "7s"}, None, sub):
        if change:
            cameras["yard"]["streams"]["sub"] = change
        else:
            cameras["yard"]["streams"].pop("sub")
        keepframe.configure(cameras)
        assert ", 0 restarted" in said(keepframe.command("reload"))
        assert keepframe.recorder_pid("yard", "sub") is None
    assert status_of(keepframe, "yard/sub")["disabled_by_command"]

    assert said(keepframe.command("enable", "yard")) == \
        "1 stream enabled; 1 stream not disabled by a command"
    wait_state(keepframe, "yard/sub", "recording")
    assert not status_of(keepframe, "yard/sub")["disabled_by_command"]

    # What the configuration does not want is not started by enable.
    sub["enabled"] = False
    keepframe.configure(cameras)
    said(keepframe.command("reload"))
    assert "no stream enabled" in (text := said(keepframe.command("enable", "yard/sub")))
    assert "enabled: false" in text
    assert status_of(keepframe, "yard/sub")["state"] in ("off", "ending")
    assert keepframe.recorder_pid("door") == door

    assert said(keepframe.command("disable", "door")).startswith("1 stream disabled")
    wait_state(keepframe, "door/main", "off")
    keepframe.stop()
    keepframe.start().wait_ready()
    wait_state(keepframe, "door/main", "recording")


ASK = """
import json, os, socket, sys
os.setgid(0)
os.setgroups([])
os.setuid(65534)
for command in ("status", "reload", "restart", "enable", "disable", "segment", "stop"):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(sys.argv[1])
        peer.sendall(json.dumps({"command": command, "camera": "door"}).encode() + b"\\n")
        answer = json.loads(peer.makefile().readline())
        print(command, "forbidden" if answer.get("error", {}).get("code") == "forbidden" else "may")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be another user")
def test_other_users_may_change_nothing(running):
    keepframe, _ = running
    before = pids_of(keepframe)
    done = subprocess.run([sys.executable, "-c", ASK, str(keepframe.runtime / "control.sock")],
                          capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        "status may", "reload forbidden", "restart forbidden", "enable forbidden",
        "disable forbidden", "segment forbidden", "stop forbidden"], done.stderr
    assert pids_of(keepframe) == before


def test_a_wrong_ffmpeg_changes_nothing_and_status_says_why(lab, running):
    keepframe, cameras = running
    before = pids_of(keepframe)
    assert config_status(keepframe)["successful"] is True
    assert config_status(keepframe)["error"] is None
    cameras["door"]["audio"] = "off"
    for path, words in {
        str(lab.folder / "none"): "No such file",
        "/bin/true": "ffmpeg.path: /bin/true",
        lab.build.tool("ffmpeg-old"): "but 5.1 or later is needed",
    }.items():
        keepframe.configure(cameras, ffmpeg={"path": path})
        done = keepframe.command("reload")
        assert done.returncode != 0
        assert str(keepframe.config) in done.stderr and "ffmpeg.path" in done.stderr
        assert words in done.stderr
        status = config_status(keepframe)
        assert status["successful"] is False and words in status["error"]
        assert f"changed nothing: {status['error']}" in said(keepframe.command("status"))
    assert pids_of(keepframe) == before

    # Another one that is good: all streams go over to it.
    link = lab.folder / "ffmpeg"
    link.symlink_to(shutil.which("ffmpeg"))
    keepframe.configure(cameras, ffmpeg={"path": str(link)})
    assert "3 restarted" in said(keepframe.command("reload"))
    assert config_status(keepframe)["successful"] is True
    assert "changed nothing" not in said(keepframe.command("status"))
    pid = keepframe.wait_recorder("door", other_than=before["door/main"])
    assert Path(f"/proc/{pid}/cmdline").read_bytes().startswith(os.fsencode(link) + b"\0")


def test_an_ffmpeg_that_takes_its_time_holds_nothing_up(lab, running):
    """Its version is waited for; meanwhile all goes on, and a second reload takes over."""
    keepframe, cameras = running
    before = pids_of(keepframe)
    slow, asked = lab.folder / "slow", lab.folder / "asked"
    slow.write_text(f'#!/bin/sh\necho x >> "{asked}"\nsleep 600\n')
    slow.chmod(0o755)
    keepframe.configure(cameras, ffmpeg={"path": str(slow)})
    first = []
    thread = threading.Thread(target=lambda: first.append(keepframe.command("reload")))
    thread.start()
    wait_for("the slow one is asked", asked.exists)
    assert said(keepframe.command("restart", "door")) == "1 stream restarted"
    keepframe.wait_recorder("door", other_than=before["door/main"])
    assert not first
    # Mended in the meantime: whoever still waits gets the same answer as whoever comes.
    cameras["yard"]["streams"]["sub"]["audio"] = "off"
    keepframe.configure(cameras)
    second = said(keepframe.command("reload"))
    thread.join(60)
    assert "1 restarted" in second and said(first[0]) == second
    keepframe.wait_recorder("yard", stream="sub", other_than=before["yard/sub"])
    assert keepframe.recorder_pid("yard", "main") == before["yard/main"]

    # One that is asked when the daemon is stopped is not waited for.
    asked.unlink()
    keepframe.configure(cameras, ffmpeg={"path": str(slow)}).send(signal.SIGHUP)
    wait_for("the slow one is asked again", asked.exists)
    keepframe.stop()
    assert keepframe.log_lines("reload", "keepframe is stopping")
