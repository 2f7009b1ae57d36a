"""A campaign of crashes: a program is ended at every point of its file I/O, one after the other,
and each time what comes after is judged.

`tests/tools/crashpoint.so` ends the real program at the n-th call; `clockshift.so` lets its timers
run faster. A point is one copy of the scenario's archive: the program is started on it and ends at
the point; then it is started without, until all is done, and once more."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import invariants
from keepframe import ask

PACE = 10
BEYOND = 10**9
CEILING_S = 60
OUTER, INNER = 14, 4


class Archive:
    """One catalog with its cache and volumes, and the indexer's lives on it."""

    def __init__(self, lab, folder, recording=None):
        self.lab = lab
        self.folder = folder
        self.data = folder / "data"
        self.cache = self.data / "cache"
        self.volumes = [self.data / "video"]
        self.config = folder / "keepframe.yaml"
        self.log = folder / "log"
        self.recording = recording
        folder.mkdir()
        self.configure()

    def configure(self):
        volumes = [{"path": str(volume), "min_free": "1MiB"} for volume in self.volumes]
        # The cameras are wanted: an indexer notes when one is not any more, whenever it starts.
        cameras = {name: {"url": "rtsp://127.0.0.1:9/none"} for name in ("yard", "door")}
        tree = {"storage": {"volumes": volumes}, "cameras": cameras}
        if self.recording:
            tree["recording"] = self.recording
        self.config.write_text(json.dumps(tree))  # which is YAML too
        self.config.chmod(0o600)

    def take(self, base):
        """Becomes a copy of another archive, at its own place."""
        for place in {self.data, *self.volumes}:
            shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(base.data, self.data)
        if not self.volumes[0].exists():
            shutil.copytree(base.volumes[0], self.volumes[0])
        with sqlite3.connect(self.data / "catalog.db") as connection:
            connection.execute("UPDATE volume SET path = ?", (str(self.volumes[0]),))
        connection.close()

    def put_run(self, camera, originals, run, reason="closed"):
        """Files of a recorder in the cache, and its run file. Returns them by identity."""
        folder = self.cache / camera / "main"
        folder.mkdir(parents=True, exist_ok=True)
        story = {"version": 1, "camera": camera, "stream": "main", "run": run, "node": "attic",
                 "start_us": run * 1000, "end_us": run * 1000 + 6_000_000, "reason": reason,
                 "detail": ""}
        (folder / f"{run}.json").write_text(json.dumps(story))
        for number, original in enumerate(originals):
            (folder / f"{run}-{number:06}.mp4").write_bytes(original.data)
        return {f"{camera}/main/{run}-{number:06}": original
                for number, original in enumerate(originals)}

    def is_cache_empty(self):
        """Whether all that recorders left has gone from the cache."""
        return not [path for path in self.cache.rglob("*") if path.suffix in (".mp4", ".json")]

    def words(self, command):
        return [self.lab.build.program("keepframe-indexer"), command, "-c", str(self.config),
                "--data", str(self.data)]

    def catalog(self, query):
        connection = sqlite3.connect(f"file:{self.data}/catalog.db?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def ask(self, command, **arguments):
        answer = ask(self.data / "run" / "indexer.sock", {"command": command, **arguments})
        assert answer["ok"], answer
        return answer["result"]

    # --- Lives

    def _env(self, point, moment):
        if point is None:
            return self.lab.preload_env("clockshift.so", CLOCKPACE=str(PACE))
        call, pattern, number = point
        for name in ("died", "calls"):
            (self.folder / name).unlink(missing_ok=True)
        extra = {"CRASHPOINT_ONCE": str(self.folder / "died")}
        if number == BEYOND:
            extra["CRASHPOINT_COUNT"] = str(self.folder / "calls")
        return self.lab.preload_env("clockshift.so", "crashpoint.so", CLOCKPACE=str(PACE),
                                    CRASHPOINT=f"{call}:{pattern}:{number}:{moment}", **extra)

    def start(self, command=None, point=None, moment="before"):
        with open(self.log, "wb") as log:
            return subprocess.Popen(command or self.words("run"), stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, cwd=self.folder,
                                    env=self._env(point, moment))

    def live(self, is_done, point=None, moment="before"):
        """One life of the indexer: until it dies at the point, or all is done and it was stopped.
        Returns whether it died."""
        process = self.start(point=point, moment=moment)
        try:
            self.wait(process, lambda: b" is open" in self.log.read_bytes() and is_done())
        finally:
            died = self.stop(process, point)
        return died

    def stop(self, process, point=None):
        """A clean stop of what still lives. Returns whether it had died at the point."""
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return self.ended(process, point)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def ended(self, process, point=None):
        """Waits for the end. Returns whether it was at the point, and fails at any other death."""
        code = process.wait(CEILING_S)
        died = code == -signal.SIGKILL and point is not None
        assert died or code == 0, f"ended with {code}\n{self.tail()}"
        assert not died or self.died_at(), "it was killed by somebody else"
        return died

    def wait(self, process, is_done):
        until = time.monotonic() + CEILING_S
        while process.poll() is None and not is_done():
            assert time.monotonic() < until, f"nothing comes to its end\n{self.tail()}"
            time.sleep(0.004)

    def look_again(self):
        """A life that finds nothing to do: catalog and volumes are held against each other."""
        before = invariants.snapshot(self)
        process = self.start()
        try:
            self.wait(process, lambda: b"indexing" in self.log.read_bytes())
            found = self.ask("reconcile")
        finally:
            self.stop(process)
        assert (found["indexed"], found["missing"], found["unknown"], found["braked"],
                found["trouble"]) == (0, 0, 0, False, None), found
        invariants.assert_same(before, invariants.snapshot(self))

    def died_at(self):
        path = self.folder / "died"
        return path.read_text().strip() if path.exists() else None

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:]


class Campaign:
    """Places for archives, in memory where that can be had, and the points of scenarios."""

    def __init__(self, lab):
        self.lab = lab
        self.chance = None
        self.is_long = False
        memory = Path("/dev/shm")
        self.folder = lab.folder / "points"
        if memory.is_dir() and os.access(memory, os.W_OK):
            self.folder = memory / lab.folder.name
            lab.cleanup(lambda: shutil.rmtree(self.folder, ignore_errors=True))
        self.folder.mkdir()
        self.count = 0

    def archive(self, name, **recording):
        self.count += 1
        return Archive(self.lab, self.folder / f"{self.count}-{name}", **recording)

    def calls(self, scenario, moment):
        """The calls of a life that is not ended, one line each."""
        archive = scenario.place("count")
        assert not scenario.point(archive, BEYOND, moment)
        path = archive.folder / "calls"
        assert path.exists(), "the library did not load, or nothing was done"
        return path.read_text().splitlines()

    def choose(self, calls):
        """A sample of a long scenario's points: of those that are another call, or on another file,
        than the one before, and some in between (pages of one transaction, mostly)."""
        numbers = range(1, len(calls) + 1)
        inner = [number for number in numbers[1:] if calls[number - 1] == calls[number - 2]]
        outer = [number for number in numbers if number not in inner]
        return sorted(self.chance.sample(outer, min(OUTER, len(outer)))
                      + self.chance.sample(inner, min(INNER, len(inner))))

    def run(self, scenario, moment):
        """Every point of a scenario, or some in the short form of a long one. Returns the count, in
        words."""
        name = type(scenario).__name__
        calls = self.calls(scenario, moment)
        total = len(calls)
        is_whole = scenario.is_short or self.is_long
        chosen = list(range(1, total + 1)) if is_whole else self.choose(calls)
        failures, died = [], []
        places = threading.local()

        def point(number):
            if len(failures) >= 3:
                return
            if not hasattr(places, "archive"):
                places.archive = scenario.place(moment)
            archive = places.archive
            try:
                if scenario.point(archive, number, moment):
                    died.append(number)
            except Exception as error:
                failures.append(f"{name} {moment} {number} ({archive.died_at()}): "
                                f"{type(error).__name__}: {error}\n{archive.tail()}")

        begun = time.monotonic()
        with ThreadPoolExecutor(4 * (os.cpu_count() or 1)) as pool:
            list(pool.map(point, chosen))
        assert not failures, "\n\n".join(failures)
        # Threads take turns as they like: the last calls of one life may not come in another.
        assert len(died) >= 0.8 * len(chosen), f"only {len(died)} of {len(chosen)} were reached"
        seconds = time.monotonic() - begun
        seed = "" if is_whole else f", chosen by --seed {self.chance.number}"
        return (f"{name}: {len(died)} points of {total} ({moment} the call) in {seconds:.1f} s{seed}")
