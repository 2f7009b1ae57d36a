"""Many streams of one cheap camera, recorded by one Keepframe; and what their recorders finished.

What was finished is seen by an own inotify watch on the cache, apart from Keepframe: a file whose
last writer has gone, and in which there is media, is footage. It must be in the catalog by its
identity, and a file of the volume must carry that identity.
"""

import ctypes
import os
import re
import select
import signal
import struct
import subprocess
import threading

import media
from waiting import wait_for

SEGMENT_NAME = re.compile(r"\d+-\d{6,}\.mp4")

IN_CLOSE_WRITE = 0x8
IN_Q_OVERFLOW = 0x4000
EVENT = struct.Struct("iIII")


class Crowdcam:
    """A running tests/tools/crowdcam: one clip for any number of clients; all paths are the same."""

    def __init__(self, lab, clip, fps):
        self.lab = lab
        self.folder = lab.folder / f"crowdcam{len(lab.things)}"
        self.folder.mkdir()
        port_file = self.folder / "port"
        with open(self.folder / "crowdcam.log", "ab") as log:
            self.process = subprocess.Popen(
                [lab.build.program("crowdcam"), "--port-file", str(port_file), "--fps", str(fps),
                 str(clip)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=lab.env(), start_new_session=True)
        lab.things.append(self)
        self.port = int(wait_for("the camera listens", port_file.read_text))

    def url(self, name):
        return f"rtsp://127.0.0.1:{self.port}/{name}"

    def stall(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.process.kill()
        self.process.wait()


def make_clip(path, size, fps, gop, length_s, *options):
    """A drawn H.264 clip for crowdcam; made once."""
    if not path.exists():
        part = path.with_suffix(".part")
        media.run("ffmpeg", "-nostdin", "-y", "-v", "error", "-f", "lavfi",
                  "-i", f"testsrc2=size={size}:rate={fps}:duration={length_s}", "-c:v", "libx264",
                  "-preset", "veryfast", "-bf", "0", "-g", gop, "-sc_threshold", "0",
                  "-x264-params", "aud=1:sliced-threads=0", *options, "-pix_fmt", "yuv420p",
                  "-f", "h264", part)
        part.rename(path)
    return path


def has_media(path):
    """Whether a closed segment has a whole box of media: sealed or not."""
    with open(path, "rb") as file:
        end, at = os.fstat(file.fileno()).st_size, 0
        while end - at >= 8:
            file.seek(at)
            head = file.read(16).ljust(16, b"\0")
            size, kind = struct.unpack_from(">I4s", head)
            header = 8
            if size == 1:
                size, header = struct.unpack_from(">Q", head, 8)[0], 16
            if size < header or at + size > end:
                return False
            if kind == b"mdat" and size > header:
                return True
            at += size
    return False


class Closes:
    """Watches stream directories for files that are finished, in a thread of its own."""

    def __init__(self, cache, streams):
        """`streams`: CAMERA/STREAM; their directories are there already."""
        self.finished = set()  # identities
        self.empty = set()  # the same, of files in which no media was whole
        self.has_overflowed = False
        self._cache = cache
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        self._streams = {self._watch(cache / stream): stream for stream in streams}
        self._end, self._ender = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _watch(self, directory):
        watch = self._libc.inotify_add_watch(self._fd, os.fsencode(directory), IN_CLOSE_WRITE)
        if watch < 0:
            raise OSError(ctypes.get_errno(), f"{directory}: can not be watched")
        return watch

    def _run(self):
        while self._end not in select.select([self._fd, self._end], [], [])[0]:
            self._read()

    def _read(self):
        events, at = os.read(self._fd, 1 << 16), 0
        while at < len(events):
            watch, mask, _, length = EVENT.unpack_from(events, at)
            name = events[at + EVENT.size:at + EVENT.size + length].rstrip(b"\0").decode()
            at += EVENT.size + length
            self.has_overflowed |= bool(mask & IN_Q_OVERFLOW)
            if SEGMENT_NAME.fullmatch(name):
                self._take(f"{self._streams[watch]}/{name.removesuffix('.mp4')}")

    def _take(self, identity):
        """A name that has gone already was filed away, so there was footage."""
        path = self._cache / f"{identity}.mp4"
        try:
            is_footage = has_media(path)
        except FileNotFoundError:
            is_footage = True
        if is_footage:
            self.finished.add(identity)
        elif identity not in self.finished:
            self.empty.add(identity)

    def stop(self):
        os.write(self._ender, b".")
        self._thread.join()
        for fd in (self._fd, self._end, self._ender):
            os.close(fd)


class Crowd:
    """`count` cameras with one stream each, on one Crowdcam."""

    def __init__(self, lab, camera, count, recording, **sections):
        self.lab = lab
        self.camera = camera
        self.names = [f"cam{number:03}" for number in range(count)]
        self.keepframe = lab.keepframe("crowd")
        self.keepframe.configure({name: {"url": camera.url(name)} for name in self.names},
                                 recording=recording, **sections)
        for name in self.names:
            (self.keepframe.cache / name / "main").mkdir(parents=True)
        self.closes = Closes(self.keepframe.cache, [f"{name}/main" for name in self.names])
        lab.things.append(self.closes)

    # --- What Keepframe says

    def streams(self):
        """Status of each stream, by camera."""
        rows = self.keepframe.ask("status")["result"]["streams"]
        return {row["camera"]: row for row in rows}

    def wait_all_record(self, timeout=120):
        """Until each stream's recorder has delivered frames. Returns the status of all."""
        def probe():
            rows = self.streams()
            late = [name for name, row in rows.items()
                    if row["state"] != "recording" or not row["run_frames"]]
            return rows if len(rows) == len(self.names) and not late else None
        return self.keepframe.wait_for("all streams record", probe, timeout)

    def pids(self):
        """Of the recorders, by camera."""
        return {name: row["pid"] for name, row in self.streams().items() if "pid" in row}

    # --- What happens to it

    def kill_recorders(self, names):
        """At once, by SIGKILL."""
        pids = self.pids()
        for name in names:
            os.kill(pids[name], signal.SIGKILL)
        return pids

    def wait_back(self, pids, names, timeout=120):
        """Until the killed ones record with another process, and all do."""
        def probe():
            rows = self.streams()
            return all(row["state"] == "recording" and row["run_frames"]
                       and (name not in names or row["pid"] != pids[name])
                       for name, row in rows.items())
        self.keepframe.wait_for("all that were killed are back", probe, timeout)

    def wait_none_records(self, timeout=120):
        """Until no stream gets frames any more and that has been noticed."""
        self.keepframe.wait_for("all streams have been noticed as down", lambda: all(
            row["state"] != "recording" for row in self.streams().values()), timeout)

    # --- What must have been kept

    def wait_filed(self, timeout=120):
        """Until nothing that was finished by now waits in the cache."""
        waiting = set(self.closes.finished)

        def probe():
            waiting.intersection_update(
                [one for one in waiting if (self.keepframe.cache / f"{one}.mp4").exists()])
            return not waiting
        self.keepframe.wait_for("all finished segments are filed", probe, timeout)

    def lost(self):
        """Identities of finished segments without a row, and those without a file. Call it after
        wait_filed()."""
        assert not self.closes.has_overflowed, "the test's own inotify queue was too short"
        finished = {one for one in set(self.closes.finished)
                    if not (self.keepframe.cache / f"{one}.mp4").exists()}
        rows = {row.id for name in self.names for row in self.keepframe.sealed(name)}
        files = {media.identity_of(path) for path in self.keepframe.volume_files()}
        return sorted(finished - rows), sorted(finished - files)
