"""Hooks tell of streams that go down and come back and of filed segments, and harm nobody."""

import json
import os
import signal
import subprocess
from urllib.parse import unquote

import pytest

from camera import Mount
from procs import all_procs, procs_of
from receiver import Receiver
from times import parse_utc

ONE, TWO = Mount("one", length=60), Mount("two", length=60)


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def script(lab):
    """Makes a program for the command of a hook."""
    def make(name, text):
        path = lab.folder / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return str(path)
    return make


def hooks_of(keepframe, event):
    return keepframe.ask("status")["result"]["hooks"]["by_event"][event]


def stream_of(keepframe, camera):
    return keepframe.ask("status", camera=camera, stream="main")["result"]


def test_down_and_up_are_told_with_reason_and_times(lab, receiver, script):
    camera = lab.camera(ONE)
    told = lab.folder / "told"
    command = script("tell", f'cat >> "{told}"; echo >> "{told}"\n'
                             f'env | grep ^KEEPFRAME_ > "{told}-$KEEPFRAME_EVENT"\n')
    hook = {"command": [command, "it's $(me)"], "url": receiver.url()}
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}},
                        recording={"segment": "2s", "timeout": "2s",
                                   "on_stream_down": {**hook, "hold_off": "3s"},
                                   "on_stream_up": hook})
    keepframe.start().wait_ready()
    keepframe.wait_sealed("one", 1)
    last_frame = parse_utc(stream_of(keepframe, "one")["last_frame"])
    camera.kill()
    (down,) = receiver.wait("stream_down", context=keepframe.log_tail)
    shown = keepframe.command("status", "one").stdout
    assert "in a row" in shown and "`keepframe probe one/main`" in shown
    assert (down["camera"], down["stream"]) == ("one", "main")
    assert down["reason"] in ("closed", "refused")
    assert parse_utc(down["since"]) >= last_frame
    assert down["away_seconds"] >= 3
    assert parse_utc(down["time"]) - parse_utc(down["since"]) == \
        pytest.approx(1e6 * down["away_seconds"], abs=2e4)
    camera.start()
    (up,) = receiver.wait("stream_up", context=keepframe.log_tail)
    assert up["reason"] == down["reason"]
    keepframe.wait_log(" info: one/main: records again after ")  # who reads the log is told too
    assert up["away_seconds"] > down["away_seconds"]
    assert parse_utc(up["since"]) > parse_utc(down["time"])
    keepframe.wait_for("the command has been told too",
                       lambda: (lab.folder / "told-stream_up").exists()
                       and len(told.read_text().splitlines()) == 2)
    assert [json.loads(line) for line in told.read_text().splitlines()] == [down, up]
    seen = dict(line.split("=", 1)
                for line in (lab.folder / "told-stream_down").read_text().splitlines())
    assert seen["KEEPFRAME_REASON"] == down["reason"]
    assert seen["KEEPFRAME_SINCE"] == down["since"]
    assert (seen["KEEPFRAME_CAMERA"], seen["KEEPFRAME_STREAM"]) == ("one", "main")
    assert hooks_of(keepframe, "stream_down") == {"run": 2, "failed": 0, "dropped": 0}


def test_a_camera_that_falls_silent_is_told_within_15_s_of_its_last_frame(lab, receiver):
    """With the default settings; the log and the clock of the events are judged, not ours."""
    camera = lab.camera(ONE)
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}},
                        recording={"on_stream_down": {"url": receiver.url()}})
    keepframe.start().wait_ready()
    keepframe.wait_for("it has frames", lambda: stream_of(keepframe, "one")["last_frame"])
    camera.stall()
    (down,) = receiver.wait("stream_down", context=keepframe.log_tail)
    camera.resume()
    assert down["reason"] in ("timeout", "stalled")
    assert 10 <= down["away_seconds"] <= 15


def test_what_somebody_wanted_and_short_breaks_are_told_to_nobody(lab, receiver):
    camera = lab.camera(ONE, TWO)
    keepframe = lab.keepframe()
    hooks = {"on_stream_down": {"url": receiver.url(), "hold_off": "8s"},
             "on_stream_up": {"url": receiver.url()}}
    cameras = {name: {"url": camera.url(name)} for name in ("one", "two")}
    keepframe.configure(cameras, recording={"segment": "2s", "timeout": "2s", **hooks})
    keepframe.start().wait_ready()
    pids = {name: keepframe.wait_recorder(name) for name in cameras}
    os.kill(pids["one"], signal.SIGKILL)  # a blip
    keepframe.wait_recorder("one", other_than=pids["one"])
    keepframe.command("disable", "two")
    keepframe.wait_for("two is off", lambda: stream_of(keepframe, "two")["state"] == "off")
    # A third one that is really away has had its hold-off when the two have had theirs.
    gone = lab.camera(ONE)
    gone.kill()
    cameras["gone"] = {"url": gone.url("one")}
    keepframe.configure(cameras, recording={"segment": "2s", "timeout": "2s", **hooks})
    assert keepframe.command("reload").returncode == 0
    (down,) = receiver.wait("stream_down", context=keepframe.log_tail)
    assert (down["camera"], down["reason"]) == ("gone", "refused")
    keepframe.command("enable", "two")
    keepframe.wait_for("two records",
                       lambda: stream_of(keepframe, "two")["state"] == "recording")
    assert receiver.of("stream_up") == []


def test_filed_segments_are_told(lab, receiver, script):
    camera = lab.camera(ONE, TWO)
    keepframe = lab.keepframe()
    keepframe.configure(
        {"one": {"url": camera.url("one"), "on_segment": {"url": receiver.url()}},
         "two": {"url": camera.url("two")}}, recording={"segment": "2s", "timeout": "5s"})
    keepframe.start().wait_ready()
    keepframe.wait_sealed("two", 2)
    bodies = receiver.wait("segment", 2, context=keepframe.log_tail)
    rows = {row.id: row for row in keepframe.sealed("one")}
    for body in bodies[:2]:
        row = rows[body["id"]]
        assert (parse_utc(body["start"]), parse_utc(body["end"])) == (row.start_us, row.end_us)
        assert body["bytes"] == row.bytes
        assert body["path"] == str(keepframe.segment_file(row))
    assert {body["camera"] for body in receiver.of("segment")} == {"one"}
    announced = keepframe.ask_indexer("status")["result"]["announced"]
    assert announced["sent"] >= 2 and announced["dropped"] == 0


def test_failures_are_logged_and_counted_without_secrets(lab, receiver, script):
    token, password = "t0ken-aBcDe", "pa55-word"
    gone = lab.camera(ONE)
    gone.kill()
    camera = lab.camera(ONE)
    nobody = Receiver()
    nobody.stop()
    url = {"url": gone.url("one")}
    down = {"hold_off": "1s", "timeout": "2s"}
    receiver.code = 503
    receiver_url = receiver.url(f"/{token}?t={token}", user=f"u:{password}@")
    keepframe = lab.keepframe()
    keepframe.configure({
        "status": {**url, "on_stream_down": {**down, "url": receiver_url}},
        "nobody": {**url, "on_stream_down": {**down, "url": nobody.url(f"/{token}")}},
        "code": {**url, "on_stream_down": {**down, "command": [script(
            "code", "echo first >&2; echo 'my last words' >&2; exit 9\n")]}},
        "missing": {**url, "on_stream_down": {**down, "command": ["/nonexistent/alarm"]}},
        "hangs": {**url, "on_stream_down": {**down, "command": [script(
            "hangs", "trap '' TERM\nsleep 61 &\nsleep 61\n")]}},
        "well": {"url": camera.url("one")},
    })
    keepframe.start().wait_ready()
    for name, words in {
        "status": ("HTTP 503",), "nobody": ("127.0.0.1", "connect to server"),
        "code": ("ended with 9", "my last words"), "missing": ("No such file",),
        "hangs": ("did not end within 2 seconds",),
    }.items():
        keepframe.wait_log(f"{name}/main", "on_stream_down", *words)
    keepframe.wait_for("all are counted", lambda: hooks_of(keepframe, "stream_down") ==
                       {"run": 5, "failed": 5, "dropped": 0})
    keepframe.wait_for("what the one that hung had started is gone too",
                       lambda: not [proc for proc in all_procs() if proc.argv == ["sleep", "61"]])
    assert "on_stream_down: 5 run, 5 failed, 0 left out" in keepframe.command("status").stdout
    (call,) = receiver.calls
    assert call.path == f"/{token}?t={token}"
    assert call.headers["Authorization"].startswith("Basic ")
    assert call.headers["Content-Type"] == "application/json"
    assert stream_of(keepframe, "well")["state"] == "recording"
    for text in (keepframe.log_text(), json.dumps(keepframe.ask("status"))):
        assert token not in unquote(text) and password not in unquote(text)


def test_a_server_that_never_answers_costs_nobody_anything(lab, receiver):
    """Its address is in no argument list and no environment; the stop waits for nothing."""
    token = "t0ken-aBcDe"
    camera = lab.camera(ONE)
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}}, recording={
        "segment": "2s", "on_segment": {"url": receiver.url(f"/${{HOOK_TOKEN}}")}})
    receiver.hangs.set()
    keepframe.start(env=lab.env(HOOK_TOKEN=token)).wait_ready()
    receiver.wait("segment", 2, context=keepframe.log_tail)
    assert receiver.calls[0].path == f"/{token}"
    ours = {proc.pid: proc for proc in procs_of(lab.folder)}
    webhooks = [proc for proc in ours.values() if "internal-webhook" in proc.argv]
    assert len(webhooks) >= 2
    for proc in [*webhooks, ours[keepframe.recorder_pid("one")]]:
        assert token.encode() not in proc.cmdline + proc.environ
    assert keepframe.ask("status")["result"]["hooks"]["running"] >= 2
    keepframe.stop()
    assert not [proc for proc in procs_of(lab.folder) if "internal-webhook" in proc.argv]


def test_only_a_server_with_a_good_certificate_is_told(lab):
    certificate = lab.folder / "certificate.pem"
    key = lab.folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    certificate.write_text(certificate.read_text() + key.read_text())
    server = Receiver(certificate)
    lab.cleanup(server.stop)
    gone = lab.camera(ONE)
    gone.kill()
    keepframe = lab.keepframe()
    keepframe.configure({"one": {
        "url": gone.url("one"), "on_stream_down": {"hold_off": "1s", "url": server.url()}}})
    keepframe.start().wait_ready()
    keepframe.wait_log("one/main", "on_stream_down failed", "certificate")
    keepframe.stop()
    assert not server.calls
    # The same server is told once its certificate is one that this machine trusts.
    keepframe.start(env=lab.env(SSL_CERT_FILE=str(certificate))).wait_ready()
    server.wait("stream_down", context=keepframe.log_tail)
