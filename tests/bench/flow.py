"""Many cameras at real rate, for `scripts/bench index`: the files of a recorder without its pictures.

One real segment of 60 s is the pattern: its boxes are written where they stand, a second's fragments each second, and
holes where the media was; its decode times are moved so that the files of a run go on from each other. A file is born,
grows for a minute and is closed when the next one was born, as the recorder's are. The real indexer runs on it."""
import ctypes
import heapq
import json
import os
import re
import select
import shutil
import signal
import statistics
import struct
import subprocess
import threading
import time

SEGMENT_S = 60
EVENT = struct.Struct("iIII")
IN_DELETE, IN_Q_OVERFLOW = 0x200, 0x4000
TICKS = os.sysconf("SC_CLK_TCK")


def boxes(data, start, end):
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size == 1:
            size = struct.unpack_from(">Q", data, start + 8)[0]
        yield kind, start, min(start + size, end)
        start += size


def first_times(data):
    """Place and value of the 64-bit decode time of each track's first fragment, and of all others: by track."""
    found = {}
    for kind, start, end in boxes(data, 0, len(data)):
        if kind != b"moof":
            continue
        for inner, at, stop in boxes(data, start + 8, end):
            if inner != b"traf":
                continue
            track = None
            for leaf, leaf_at, _ in boxes(data, at + 8, stop):
                if leaf == b"tfhd":
                    track = struct.unpack_from(">I", data, leaf_at + 12)[0]
                if leaf == b"tfdt":
                    assert data[leaf_at + 8] == 1, "32-bit decode times"
                    found.setdefault(track, []).append((leaf_at + 12, struct.unpack_from(">Q", data, leaf_at + 12)[0]))
    return found


class Pattern:
    """What a recorder writes into each of its files."""

    def __init__(self, path, following):
        self.data = path.read_bytes()
        self.times = first_times(self.data)
        after = first_times(following.read_bytes())
        self.lengths = {track: after[track][0][1] - times[0][1] for track, times in self.times.items()}
        self.pieces = self._pieces()

    def _pieces(self):
        """Per second: where each run of boxes stands and ends, and the file's size after it."""
        runs, fragments, at = [], [], None
        for kind, start, end in boxes(self.data, 0, len(self.data)):
            at = start if at is None else at
            if kind == b"mdat":
                runs.append((at, start + 8, end))
                at = None
        assert at is None, "the pattern is torn"
        for i in range(SEGMENT_S):
            fragments.append(runs[i * len(runs) // SEGMENT_S:(i + 1) * len(runs) // SEGMENT_S])
        return fragments

    def file(self, number):
        """The file of that number in a run: for each second a list of (offset, bytes) and the size."""
        data = bytearray(self.data)
        for track, times in self.times.items():
            for place, value in times:
                struct.pack_into(">Q", data, place, value - times[0][1] + number * self.lengths[track])
        return [([(start, bytes(data[start:stop])) for start, stop, _ in runs], runs[-1][2]) for runs in self.pieces]


class Departures:
    """When each file has left the cache: its row is committed then."""

    def __init__(self, directories):
        self.gone = {}  # path: when
        self.has_overflowed = False
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        self._watches = {self._libc.inotify_add_watch(self._fd, os.fsencode(one), IN_DELETE): one for one in directories}
        assert -1 not in self._watches, "too many watches"
        self._end, self._ender = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while self._end not in select.select([self._fd, self._end], [], [])[0]:
            now, events, at = time.monotonic(), os.read(self._fd, 1 << 16), 0
            while at < len(events):
                watch, mask, _, length = EVENT.unpack_from(events, at)
                name = events[at + EVENT.size:at + EVENT.size + length].rstrip(b"\0").decode()
                at += EVENT.size + length
                self.has_overflowed |= bool(mask & IN_Q_OVERFLOW)
                if name.endswith(".mp4"):
                    self.gone[self._watches[watch] / name] = now

    def stop(self):
        os.write(self._ender, b".")
        self._thread.join()
        for fd in (self._fd, self._end, self._ender):
            os.close(fd)


class Recorders:
    """`count` streams of one run each, in a thread, spread over the minute."""

    def __init__(self, cache, pattern, count):
        self.run = int(time.time() * 1000)
        self.directories = [cache / f"c{i:04d}" / "main" for i in range(count)]
        self.closed = {}  # path: when
        self.late_s = 0.0  # the most that a second's fragments came too late
        self.pattern = pattern
        self._files = {}
        self._ending = threading.Event()
        for directory in self.directories:
            directory.mkdir(parents=True)
            self._tell(directory, None)
        self._thread = threading.Thread(target=self._record, daemon=True)

    def _tell(self, directory, end_us):
        text = json.dumps({"version": 1, "camera": directory.parent.name, "stream": "main", "run": self.run, "node": "bench",
                           "start_us": self.run * 1000, "end_us": end_us, "reason": "stopped" if end_us else None,
                           "detail": None})
        temporary = directory / f".{self.run}.json.tmp"
        temporary.write_text(text)
        temporary.rename(directory / f"{self.run}.json")

    def _path(self, stream, number):
        return self.directories[stream] / f"{self.run}-{number:06d}.mp4"

    def _open(self, stream, number):
        return os.open(self._path(stream, number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)

    def _write(self, fd, number, second):
        if number not in self._files:
            self._files[number] = self.pattern.file(number)
        heads, size = self._files[number][second]
        for offset, data in heads:
            os.pwrite(fd, data, offset)
        os.ftruncate(fd, size)

    def _close(self, stream, number, fd):
        self.closed[self._path(stream, number)] = time.monotonic()
        os.close(fd)

    def _record(self):
        begin, fds = time.monotonic(), {}
        # (when, stream, seconds that it has recorded, counted over its files)
        due = [(begin + i * SEGMENT_S / len(self.directories), i, -1) for i in range(len(self.directories))]
        while not self._ending.is_set():
            when, stream, second = due[0]
            wait = when - time.monotonic()
            if wait > 0 and self._ending.wait(wait):
                break
            self.late_s = max(self.late_s, -wait)
            if second < 0:
                fds[stream] = self._open(stream, 0)
            else:
                number, within = divmod(second, SEGMENT_S)
                self._write(fds[stream], number, within)
                if within == SEGMENT_S - 1:
                    following = self._open(stream, number + 1)
                    self._close(stream, number, fds[stream])
                    fds[stream] = following
            heapq.heapreplace(due, (when + 1, stream, second + 1))
        for _, stream, second in due:
            if second > 0 and second % SEGMENT_S > 0:
                self._close(stream, second // SEGMENT_S, fds[stream])
            elif second >= 0:
                os.close(fds[stream])  # an empty file, of which nothing will come

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()
        for directory in self.directories:
            self._tell(directory, int(time.time() * 1e6))


class Indexer:
    def __init__(self, build, config, data):
        self.log = open(data / "indexer.log", "ab")
        self.process = subprocess.Popen([build / "bin/keepframe-indexer", "run", "-c", config, "--data", data],
                                        stdout=self.log, stderr=self.log)

    def cpu_s(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def io(self):
        return {key: int(value) for key, value in re.findall(r"(\w+): (\d+)", open(f"/proc/{self.process.pid}/io").read())}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait()
        self.log.close()
        assert status == 0, f"the indexer ended with {status}"


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def size_of(paths):
    return sum(path.stat().st_size for path in paths)


def wait_until(what, predicate, seconds):
    end = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > end:
            raise SystemExit(f"bench: {what} did not happen within {seconds} s")
        time.sleep(0.2)


def bench_flow(build, table, segments, data, count, minutes, down_s):
    """`count` cameras for `minutes` minutes of finished segments, then the indexer is down for `down_s` seconds."""
    config = data / "keepframe.yaml"
    config.write_text("cameras:\n" + "".join(f"  c{i:04d}: {{url: 'rtsp://127.0.0.1:9/none'}}\n" for i in range(count)))
    recorders = Recorders(data / "cache", Pattern(segments[1], segments[2]), count)
    departures = Departures(recorders.directories)
    indexer = Indexer(build, config, data)
    with recorders:
        time.sleep(SEGMENT_S)  # all have begun
        since, cpu, io = time.monotonic(), indexer.cpu_s(), indexer.io()
        time.sleep(minutes * SEGMENT_S)
        span = time.monotonic() - since
        cpu, after = indexer.cpu_s() - cpu, indexer.io()
        io = {key: after[key] - io[key] for key in io}
        closed = [path for path, when in list(recorders.closed.items()) if since <= when < since + span]
        wait_until("that all is filed", lambda: all(path in departures.gone for path in closed), 60)
        indexer.stop()
        time.sleep(down_s)
        backlog = [path for path in list(recorders.closed) if path not in departures.gone]
        again, filed = time.monotonic(), len(departures.gone)
        indexer = Indexer(build, config, data)
        wait_until("that the backlog is filed", lambda: all(path in departures.gone for path in backlog), 600)
        caught_s, caught = time.monotonic() - again, len(departures.gone) - filed
        late_s = recorders.late_s
    wait_until("that the rest is filed", lambda: all(path in departures.gone for path in recorders.closed), 120)
    wait_until("that the runs are filed", lambda: not any((data / "cache").rglob("*.json")), 60)
    indexer.stop()
    departures.stop()
    assert not departures.has_overflowed, "the benchmark's own inotify queue was too short"
    lags = [departures.gone[path] - recorders.closed[path] for path in closed]
    sealed = list((data / "video").rglob("*.mp4"))
    assert len(sealed) == len(recorders.closed), f"{len(recorders.closed)} segments, {len(sealed)} files"
    kept = size_of([data / "catalog.db", *data.glob("frames-*.db")]) / len(sealed)
    moov = max(path.stat().st_size for path in sealed) - len(recorders.pattern.data)
    table.row(f"{count} cameras, 60 s segments, real rate: finished", len(closed) / span * 60, "a minute")
    table.row("  from a file's close to its committed row, median", statistics.median(lags), "s")
    table.row("  the same, 99th percentile", percentile(lags, 0.99), "s", "< 2 s", percentile(lags, 0.99) < 2)
    table.row("  the same, slowest", max(lags), "s")
    table.row("  largest delay of the benchmark's own recorder", late_s, "s")
    table.row("  indexer, CPU", cpu / span * 100, "% of a core")
    table.row("  indexer, CPU of a segment, syncs of files that grow with it", cpu / len(closed) * 1e3, "ms")
    table.row("  catalog and sample table, a segment", kept, "bytes")
    table.row("  written by the indexer, a segment", io["wchar"] / len(closed), "bytes")
    table.row("  of it the moov that seals", moov, "bytes")
    table.row("  write amplification of catalog and tables", (io["wchar"] / len(closed) - moov) / kept, "x")
    table.row("  pages made dirty for each byte kept, moov with it",
              io["write_bytes"] / len(closed) / (kept + moov), "x")
    table.row(f"indexer down for {down_s} s: backlog", len(backlog), "segments")
    rate = caught / caught_s * 60
    table.row("  filed, from its start until none of that was left", rate, "a minute", ">= 1000", rate >= 1000)
    return config


def sparse_copy(source, target, replace):
    """Copies a file with its holes; what is written is changed by `replace`."""
    size = source.stat().st_size
    with open(source, "rb") as given, open(target, "wb") as made:
        at = 0
        while at < size:
            try:
                at = os.lseek(given.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(given.fileno(), at, os.SEEK_HOLE)
            os.pwrite(made.fileno(), replace(os.pread(given.fileno(), end - at, at)), at)
            at = end
        os.ftruncate(made.fileno(), size)


def multiply(data, wanted):
    """Copies of sealed files under the names of other cameras, until there are so many. Returns how many there are."""
    sealed = sorted((data / "video").rglob("*.mp4"))
    total, copies = len(sealed), 0
    while total < wanted:
        copies += 1
        for path in sealed[:wanted - total]:
            camera = path.relative_to(data / "video").parts[0]
            other = chr(ord("c") + copies) + camera[1:]
            target = data / "video" / other / path.relative_to(data / "video" / camera)
            target.parent.mkdir(parents=True, exist_ok=True)
            old, new = f"{camera}/main/".encode(), f"{other}/main/".encode()
            sparse_copy(path, target, lambda part: part.replace(old, new))
            total += 1
    return total


def bench_reindex(build, table, data, config, wanted, ffprobe_s):
    """The catalog made anew from `wanted` sealed files; `ffprobe_s`: CPU of one ffprobe run on such a file."""
    from bench import cpu_of
    count = multiply(data, wanted)
    for path in [data / "catalog.db", *data.glob("catalog.db-*"), *data.glob("frames-*")]:
        path.unlink(missing_ok=True)
    start = time.monotonic()
    cpu = cpu_of([build / "bin/keepframe-indexer", "reindex", "-c", config, "--data", data])
    span = time.monotonic() - start
    found = subprocess.run(["/usr/bin/python3", "-c", "import sqlite3, sys; print(sqlite3.connect(sys.argv[1])"
                            ".execute('SELECT count(*) FROM segment').fetchone()[0])", data / "catalog.db"],
                           check=True, capture_output=True, text=True)
    assert int(found.stdout) == count, f"{count} files, {found.stdout} rows"
    table.row(f"reindex of {count} sealed files", span, "s")
    table.row("  CPU a file", cpu / count * 1e3, "ms")
    table.row("  CPU of one ffprobe run on such a file", ffprobe_s * 1e3, "ms")
    ratio = ffprobe_s / (cpu / count)
    table.row("  ffprobe on each / ours", ratio, "x", ">= 500 x", ratio >= 500)
    shutil.rmtree(data)
