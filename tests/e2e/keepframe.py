"""One Keepframe under test: its configuration, its processes, and what it answers."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import media
import web
from procs import all_procs, alive
from times import parse_utc
from waiting import wait_for
from yamltext import dump

STOP_S = 15  # a clean stop takes no longer


@dataclass(frozen=True)
class Segment:
    """A segment as the API lists it."""

    id: str
    start_us: int
    end_us: int
    bytes: int
    state: str
    tracks: tuple

    @property
    def run(self):
        return int(self.id.rsplit("/", 1)[1].split("-")[0])

    @property
    def number(self):
        return int(self.id.rsplit("-", 1)[1])

    def track(self, kind):
        return next((track for track in self.tracks if track["type"] == kind), None)


class Keepframe:
    def __init__(self, lab, name, data=None, is_rival=False):
        self.lab = lab
        self.name = name
        self.folder = lab.folder / name
        self.folder.mkdir()
        self.data = Path(data) if data else self.folder / "data"
        self.cache = self.data / "cache"
        self.video = self.data / "video"
        self.runtime = self.data / "run"
        self.config = self.folder / "keepframe.yaml"
        self.log = self.folder / "keepframe.log"
        self.process = None
        self.program = None  # the path of another keepframe than the built one
        self.is_rival = is_rival  # another one works in the same folders

    # --- Configuration

    def configure(self, cameras, **sections):
        """Writes the configuration. `cameras` is {name: {key: value}}; sections replace the tests'
        own defaults: five-second segments, a port of the kernel's choice, hardly any min_free."""
        tree = {
            "storage": {"volumes": [{"path": str(self.video), "min_free": "1MiB"}]},
            "http": {"listen": "127.0.0.1:0"},
            "recording": {"segment": "5s", "timeout": "5s"},
        }
        tree.update(sections)
        tree["cameras"] = cameras
        self.write_config("\n".join(dump(tree)) + "\n")
        return self

    def write_config(self, text):
        self.config.write_text(text)
        self.config.chmod(0o600)

    # --- Life

    def command(self, *words):
        """`keepframe WORDS... -c FILE --data DIR`, run to its end."""
        return subprocess.run(
            [self.lab.build.program("keepframe"), *words, "-c", str(self.config),
             "--data", str(self.data)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            cwd=self.folder, env=self.lab.env(), timeout=60,
        )

    def start(self, env=None, user=None, debug=True):
        """Starts `keepframe run`; `user` is a numeric uid to run it as, `debug` how much it logs."""
        assert self.process is None, "it runs already"
        if not self.is_rival:
            (self.runtime / "webui.address").unlink(missing_ok=True)
        find = self.lab.build.program if user is None else self.lab.program_for_all
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program or find("keepframe"), "run", "-c", str(self.config),
                 "--data", str(self.data), *(["--debug"] if debug else [])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=env or self.lab.env(), start_new_session=True, user=user, group=user,
            )
        return self

    def run_to_end(self, env=None, user=None, timeout=30):
        """Starts it where it must refuse to run. Returns its exit code."""
        self.start(env, user)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end by itself\n{self.log_tail()}") from None
        finally:
            if self.process.poll() is not None:
                self.process = None

    def wait_ready(self):
        """Until the web interface says that all is well."""
        self.wait_for("it is ready", lambda: self.get("/healthz").status == 200)
        return self

    def wait_answering(self):
        """Until the web interface answers, whether all is well or not."""
        self.wait_for("it answers", lambda: self.get("/api/v1/cameras").status == 200)
        return self

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """A clean stop: exit code 0 within 15 s. Harmless when it does not run."""
        if not self.process:
            return
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.wait_stopped()

    def wait_stopped(self, code=0):
        start = time.monotonic()
        process, self.process = self.process, None
        try:
            got = process.wait(2 * STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} did not stop\n{self.log_tail()}") from None
        took = time.monotonic() - start
        assert got == code, f"{self.name} ended with {got}, not {code}\n{self.log_tail()}"
        assert took <= STOP_S, f"{self.name} took {took:.1f} s to stop\n{self.log_tail()}"

    def kill(self):
        """kill -9 of the supervisor alone."""
        self.process.kill()
        self.process.wait()
        self.process = None

    # --- Its processes

    def children(self):
        return [proc for proc in all_procs()
                if self.process and proc.ppid == self.process.pid and not proc.dead]

    def program_pid(self, name):
        """The pid of keepframe-indexer or keepframe-webui, or None."""
        return next((proc.pid for proc in self.children() if proc.program == name), None)

    def recorder_pid(self, camera, stream="main"):
        """The pid of the stream's ffmpeg, or None."""
        place = str(self.cache / camera / stream) + "/"
        return next((proc.pid for proc in self.children()
                     if proc.argv and proc.argv[-1].startswith(place)), None)

    def wait_recorder(self, camera, other_than=None, stream="main"):
        """The pid of the stream's ffmpeg once there is one, and not the one of before."""
        def probe():
            pid = self.recorder_pid(camera, stream)
            return pid if pid != other_than else None
        return self.wait_for(f"{camera}/{stream} has a recorder", probe)

    def wait_program(self, name, other_than=None):
        def probe():
            pid = self.program_pid(name)
            return pid if pid != other_than else None
        return self.wait_for(f"{name} runs", probe)

    def kill_program(self, name):
        pid = self.wait_program(name)
        os.kill(pid, signal.SIGKILL)
        self.wait_for(f"{name} has died", lambda: not alive(pid))
        return pid

    # --- What it says

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_lines(self, *words):
        """The log's lines that hold all these words."""
        return [line for line in self.log_text().splitlines()
                if all(word in line for word in words)]

    def log_tail(self, lines=60):
        return f"--- end of {self.name}'s log\n" + "\n".join(self.log_text().splitlines()[-lines:])

    def wait_for(self, what, probe, timeout=60):
        def checked():
            if self.process and self.process.poll() is not None:
                raise AssertionError(
                    f"keepframe ended with {self.process.returncode} before {what}\n"
                    + self.log_tail())
            return probe()
        return wait_for(what, checked, timeout, self.log_tail)

    def wait_log(self, *words):
        """The first line of the log that holds all these words, once there is one."""
        return self.wait_for(f"the log says {words}", lambda: self.log_lines(*words))[0]

    def wait_log_count(self, word, count):
        """Until the log says this word on that many lines."""
        self.wait_for(f"the log says {word!r} {count} times",
                      lambda: len(self.log_lines(word)) >= count)

    def ask(self, command, **arguments):
        """One command over control.sock, with its whole answer."""
        return ask(self.runtime / "control.sock", {"command": command, **arguments})

    def ask_indexer(self, command, **arguments):
        """The same of the indexer."""
        return ask(self.runtime / "indexer.sock", {"command": command, **arguments})

    # --- HTTP

    def address(self):
        """HOST:PORT of its web interface."""
        return (self.runtime / "webui.address").read_text().strip()

    def url(self, path, params=None):
        return f"http://{self.address()}{web.target(path, params)}"

    def http(self, method, path, params=None, headers=None, body=None):
        return web.request(self.address(), method, web.target(path, params), headers, body)

    def get(self, path, params=None, headers=None):
        return self.http("GET", path, params, headers)

    def segments(self, camera, stream="main", **params):
        """All segments of a stream, page by page."""
        rows, cursor = [], None
        while True:
            answer = self.get(f"/api/v1/cameras/{camera}/{stream}/segments",
                              {**params, "cursor": cursor})
            if answer.status == 404:
                return []  # no such stream in the catalog yet
            page = answer.expect(200).json
            rows += [Segment(row["id"], parse_utc(row["start"]), parse_utc(row["end"]),
                             row["bytes"], row["state"], tuple(row["tracks"]))
                     for row in page["segments"]]
            cursor = page["cursor"]
            if cursor is None:
                return rows

    def sealed(self, camera, stream="main"):
        return [row for row in self.segments(camera, stream) if row.state == "sealed"]

    def wait_sealed(self, camera, count=1, stream="main", timeout=90, after=None):
        """The sealed segments once there are `count` of them (that start after segment `after`)."""
        def probe():
            rows = self.sealed(camera, stream)
            if after is not None:
                rows = [row for row in rows if row.start_us > after.start_us]
            return rows if len(rows) >= count else None
        return self.wait_for(f"{count} segments of {camera}/{stream} are sealed", probe, timeout)

    def wait_open(self, camera, stream="main", run_after=0, longer_than_us=0):
        """The segment that is being written, once it can be seen."""
        def probe():
            rows = [row for row in self.segments(camera, stream)
                    if row.state == "open" and row.run > run_after
                    and row.end_us - row.start_us > longer_than_us]
            return rows[-1] if rows else None
        return self.wait_for(f"{camera}/{stream} has an open segment", probe)

    def download(self, camera, stream="main", headers=None, method="GET", **params):
        return self.http(method, f"/video/{camera}/{stream}.mp4", params, headers)

    # --- Disk

    def cache_files(self, camera, stream="main", suffix=".mp4"):
        folder = self.cache / camera / stream
        return sorted(path for path in folder.glob("*" + suffix)) if folder.exists() else []

    def newest_cache_file(self, camera, stream="main"):
        files = self.cache_files(camera, stream)
        return files[-1] if files else None

    def volume_files(self, camera="*", stream="*", volume=None):
        return sorted((volume or self.video).glob(f"{camera}/{stream}/*/*.mp4"))

    def segment_file(self, segment, volume=None):
        """Where a sealed segment lies: the file that carries its identity."""
        camera, stream, _ = segment.id.split("/")
        for path in self.volume_files(camera, stream, volume):
            if media.identity_of(path) == segment.id:
                return path
        raise AssertionError(f"no file of the volume carries {segment.id}\n{self.log_tail()}")

    def catalog(self, query, *values):
        """Rows of the catalog, read only."""
        connection = sqlite3.connect(f"file:{self.data}/catalog.db?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()


def ask(path, request, timeout=30):
    """One JSON line to a Unix socket, one back."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(timeout)
        peer.connect(str(path))
        peer.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            piece = peer.recv(65536)
            if not piece:
                break
            answer += piece
    return json.loads(answer)
