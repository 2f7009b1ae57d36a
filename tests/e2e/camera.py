"""A test camera: one process of tests/tools/testcam, which a test may stall, kill and restart."""

import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import media
from waiting import wait_for


@dataclass(frozen=True)
class Mount:
    """One picture of a camera. Its loop is longer than any test records it, so every frame is
    another."""

    name: str
    codec: str = "h264"
    bframes: int = 0
    audio: bool | str = False  # True: aac; else alaw, ulaw, opus
    width: int = 320
    height: int = 180
    gop: int = 25  # frames, 25 a second
    bitrate: int = 500  # kbit/s
    clock: str = "media"
    length: int = 100  # s
    transport: str = "tcp"  # tcp, udp or both
    join: bool = False  # clients come in the middle of a group of pictures
    mute: bool = False  # audio is announced and never sent
    udp_lost: bool = False  # UDP is agreed upon, and nothing arrives
    audio_late: int = 0  # ms after the video
    report: int = 0  # ms: no sender report comes earlier, and nothing else says how far apart the tracks are
    reporter: str = "any"  # whose report comes first: video, audio

    @property
    def argument(self):
        audio = {True: "aac", False: "none"}.get(self.audio, self.audio)
        return (f"{self.name},codec={self.codec},bframes={self.bframes},audio={audio},"
                f"width={self.width},height={self.height},gop={self.gop},bitrate={self.bitrate},"
                f"length={self.length},clock={self.clock},transport={self.transport},"
                f"join={int(self.join)},mute={int(self.mute)},udp_lost={int(self.udp_lost)},rtcp=500,"
                f"audio_late={self.audio_late},report={self.report},reporter={self.reporter}")

    def sent_pictures(self, build):
        """picture_hash() of each picture of the loop, in the order in which the camera sends
        them: what it encoded, from its own folder, that no recorder has touched."""
        (loop,) = build.camera_cache.glob(
            f"{self.codec}-b{self.bframes}-{self.width}x{self.height}-25fps-gop{self.gop}-"
            f"{self.bitrate}k-{self.length * 25}f-*.mkv")
        with tempfile.NamedTemporaryFile(prefix="kf-", suffix=".mp4") as plain:
            media.run("ffmpeg", "-nostdin", "-y", "-v", "error", "-i", loop, "-c", "copy",
                      plain.name)
            return media.picture_hashes(Path(plain.name), self.codec)


class Camera:
    """Serves its mounts until stop(); it keeps its port for life."""

    def __init__(self, lab, name, mounts, user=None, password=None, env=None):
        self.lab = lab
        self.name = name
        self.mounts = mounts
        self.user = user
        self.port = 0
        self.env = env or lab.env()
        self.process = None
        self.folder = lab.folder / name
        self.folder.mkdir()
        self.log = self.folder / "testcam.log"
        self.password_file = None
        if user is not None:
            self.password_file = self.folder / "password"
            self.password_file.write_text(password)
            self.password_file.chmod(0o600)

    def start(self):
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        command = [
            self.lab.build.program("testcam"),
            "--port", str(self.port),
            "--port-file", str(port_file),
            "--cache", str(self.lab.build.camera_cache),
        ]
        if self.user is not None:
            command += ["--user", self.user, "--password-file", str(self.password_file)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*command, *(mount.argument for mount in self.mounts)],
                stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self.folder,
                env=self.env, start_new_session=True, text=True,
            )
        wait_for(f"camera {self.name} listens", lambda: self._port(port_file),
                 timeout=120, context=self.log_tail)  # the first start encodes the content
        return self

    def _port(self, port_file):
        if self.process.poll() is not None:
            raise AssertionError(
                f"camera {self.name} ended with {self.process.returncode}\n{self.log_tail()}")
        text = port_file.read_text()
        self.port = int(text) if text.strip() else 0
        return self.port

    def url(self, name):
        return f"rtsp://127.0.0.1:{self.port}/{name}"

    def stall(self):
        """The picture freezes: connections stay open, nothing comes."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def command(self, *words):
        """A fault on command (tests/tools/testcam_fault.c); it holds when this returns."""
        line = " ".join(str(word) for word in words)
        done = f"testcam: done: {line}\n"
        before = self.log.read_text().count(done)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        wait_for(f"the camera obeys: {line}",
                 lambda: self.log.read_text().count(done) > before, context=self.log_tail)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process = None

    stop = kill

    def log_tail(self):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"--- end of {os.path.basename(self.folder)}/testcam.log\n{text[-2000:]}"
