"""A stream that is down shows, with the right reason, within 15 seconds: in status, in the metrics, in
the hook, and in the catalog's list of runs. One Keepframe has a stream for each fault."""

import os
import re
import signal
import socket
import threading
import time
from dataclasses import dataclass

import pytest

from camera import Mount
from lab import Build, Lab
from receiver import Receiver

SHOWN_WITHIN_S = 15
PASSWORD = "correct horse"
SMALL = {"length": 30, "width": 160, "height": 90}


@dataclass(frozen=True)
class Fault:
    reason: str
    begin: object = None  # what provokes it while the stream is recorded; None: it never records
    after_s: float = 0  # how long it is recorded before
    has_run: bool = True  # ffmpeg was started
    is_blip: bool = False  # it is recorded again before the hook's hold-off is over


def of_camera(*words):
    return lambda keepframe, camera, name: camera.command(words[0], name, *words[1:])


def of_recorder(number):
    return lambda keepframe, camera, name: os.kill(keepframe.wait_recorder(name), number)


FAULTS = {
    "wrong-password": Fault("unauthorized"),
    "wrong-path": Fault("not_found"),
    "nobody-there": Fault("refused"),
    "no-route": Fault("unreachable"),
    "no-name": Fault("unresolved"),
    "no-answer": Fault("timeout"),
    "no-frames": Fault("no_frames"),
    "vp8": Fault("codec"),
    "sound-only": Fault("no_video"),
    "udp-only": Fault("configuration"),
    "broken": Fault("unknown"),
    "full": Fault("no_space"),
    "no-folder": Fault("start_failed", has_run=False),
    "hang-up": Fault("closed", of_camera("close"), is_blip=True),
    "silence": Fault("timeout", of_camera("stall", 600)),
    "reports-only": Fault("stalled", of_camera("freeze", 600)),
    "frozen": Fault("stalled", of_recorder(signal.SIGSTOP)),
    "clock": Fault("clock_jump", of_camera("jump", 40), is_blip=True,
                   after_s=14),  # a run is stirred at first
    "killed": Fault("killed", of_recorder(signal.SIGKILL), is_blip=True),
}
SUDDEN = [name for name, fault in FAULTS.items() if fault.begin]
MOUNTS = [
    *(Mount(name, **SMALL) for name in ["wrong-password", "no-frames", "full", "no-folder", *SUDDEN]),
    Mount("vp8", codec="vp8", **SMALL),
    Mount("sound-only", codec="none", audio=True, **SMALL),
    Mount("udp-only", transport="udp", **SMALL),
]


class Servers:
    """Ports of this machine that are no cameras."""

    def __init__(self):
        self.mute = self._listen()  # connects and says nothing
        self.broken = self._listen()
        threading.Thread(target=self._answer, daemon=True).start()
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            self.free = nobody.getsockname()[1]

    @staticmethod
    def _listen():
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        server.listen()
        return server

    def _answer(self):
        while True:
            try:
                peer, _ = self.broken.accept()
            except OSError:
                return
            with peer:
                request = peer.recv(4096).decode(errors="replace")
                number = re.search(r"CSeq: *(\d+)", request)
                peer.sendall(f"RTSP/1.0 500 Internal Server Error\r\nCSeq: "
                             f"{number[1] if number else 1}\r\n\r\n".encode())

    def close(self):
        self.broken.shutdown(socket.SHUT_RDWR)
        self.broken.close()
        self.mute.close()


def streams_of(camera, servers):
    urls = {
        "nobody-there": f"rtsp://127.0.0.1:{servers.free}/x",
        # TCP to a group address: the kernel refuses it, and nothing leaves the machine.
        "no-route": "rtsp://224.0.0.1/x",
        # A label of more than 63 letters: no server is asked.
        "no-name": f"rtsp://{64 * 'x'}.invalid/x",
        "no-answer": f"rtsp://127.0.0.1:{servers.mute.getsockname()[1]}/x",
        "broken": f"rtsp://127.0.0.1:{servers.broken.getsockname()[1]}/x",
    }
    return {name: {"url": urls.get(name, camera.url(name)), "username": "nvr",
                   "password": "incorrect" if name == "wrong-password" else PASSWORD}
            for name in FAULTS}


class Witness:
    """Looks at the status all the time, and notes when each fault was first seen as what it is."""

    def __init__(self, keepframe, camera, receiver):
        self.keepframe = keepframe
        self.camera = camera
        self.receiver = receiver
        self.began = {name: time.monotonic() for name, fault in FAULTS.items() if not fault.begin}
        self.shown = {}  # name: (seconds, the stream's status)

    def streams(self):
        return {stream["camera"]: stream
                for stream in self.keepframe.ask("status")["result"]["streams"]}

    def provoke(self, recorded_s):
        for name, fault in FAULTS.items():
            if name not in self.began and fault.after_s <= recorded_s:
                fault.begin(self.keepframe, self.camera, name)
                self.began[name] = time.monotonic()

    def look(self):
        streams = self.streams()
        for name in self.began:
            if name not in self.shown and streams[name]["last_reason"] == FAULTS[name].reason:
                self.shown[name] = (time.monotonic() - self.began[name], streams[name])

    def watch(self, timeout):
        """Until each fault has been provoked and seen."""
        start = time.monotonic()
        while len(self.shown) < len(FAULTS) and time.monotonic() - start < timeout:
            self.provoke(time.monotonic() - start)
            self.look()
            time.sleep(0.25)


@pytest.fixture(scope="module")
def witness(request, pytestconfig):
    lab = Lab(Build(pytestconfig.getoption("--build")))
    failed_before = request.session.testsfailed
    servers = Servers()
    receiver = Receiver()
    lab.cleanup(servers.close)
    lab.cleanup(receiver.stop)
    try:
        camera = lab.camera(*MOUNTS, name="camera", user="nvr", password=PASSWORD)
        camera.command("stall", "no-frames", 600)
        keepframe = lab.keepframe("keepframe").configure(
            streams_of(camera, servers), recording={
                "segment": "2s", "timeout": "5s", "on_stream_down": {"url": receiver.url()}})
        (keepframe.cache / "no-folder").parent.mkdir(parents=True)
        (keepframe.cache / "no-folder").write_text("a file where the stream's folder should be")
        keepframe.start(lab.preload_env("faultfs.so", FAULT="nospace", FAULT_PROGRAM="ffmpeg",
                                        FAULT_PATH="/full/main/"))
        witness = Witness(keepframe, camera, receiver)
        keepframe.wait_ready()
        keepframe.wait_for("those that can be recorded are", lambda: all(
            witness.streams()[name]["state"] == "recording" for name in SUDDEN))
        witness.watch(60)
        yield witness
    finally:
        failed = request.session.testsfailed > failed_before
        lab.close(keep_in=lab.build.folder / "e2e-logs" / "reasons" if failed else None)


@pytest.mark.parametrize("name", FAULTS)
def test_a_stream_that_is_down_shows_why(witness, name):
    assert name in witness.shown, f"never {FAULTS[name].reason}: {witness.streams()[name]}"
    seconds, stream = witness.shown[name]
    assert seconds < SHOWN_WITHIN_S, stream
    assert stream["restarts_by_reason"].get(FAULTS[name].reason, 0) >= 1 or \
        stream["state"] == "ending"


@pytest.mark.parametrize("name", FAULTS)
def test_the_metrics_say_so_too(witness, name):
    wanted = re.compile(r'keepframe_stream_restarts_total\{camera="%s",stream="main",reason="%s"\} '
                        r"[1-9]" % (name, FAULTS[name].reason))
    witness.keepframe.wait_for("the metrics have it", lambda: wanted.search(
        witness.keepframe.get("/metrics").expect(200).body.decode()))


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if not fault.is_blip])
def test_the_hook_is_told(witness, name):
    def calls():
        return [call for call in witness.receiver.of("stream_down") if call["camera"] == name]
    (call,) = witness.keepframe.wait_for("the hook is called", calls)
    assert call["reason"] == FAULTS[name].reason
    assert call["away_seconds"] < SHOWN_WITHIN_S


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.has_run])
def test_the_catalog_keeps_the_reason(witness, name):
    witness.keepframe.wait_for("the run's end is in the catalog", lambda: witness.keepframe.catalog(
        "SELECT 1 FROM run JOIN stream ON stream.id = run.stream_id "
        "WHERE camera = ? AND reason = ? AND end_us IS NOT NULL", name, FAULTS[name].reason))


def test_each_death_is_one_line(witness):
    """Camera, stream, reason, life, frames, last words."""
    (line,) = witness.keepframe.log_lines("killed/main", "(killed)")
    assert re.search(r"ffmpeg was ended by signal 9 after \d+\.\d s and \d+ frames \(killed\)", line)


def test_no_password_is_told(witness):
    assert PASSWORD not in witness.keepframe.log_text()
