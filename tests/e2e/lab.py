"""What one test works with: a folder of its own, its cameras and Keepframes, and the final check.

The check at the end holds for every test: no process is left, no sanitizer has found anything.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from camera import Camera
from keepframe import Keepframe
from procs import procs_of
from waiting import wait_for

SANITIZER_WORDS = ("Sanitizer:", "runtime error:", "SUMMARY: ")


class Build:
    """The built programs."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.camera_cache = self.folder / "testcam-content"

    def program(self, name):
        path = self.folder / "bin" / name
        if not path.exists():
            raise FileNotFoundError(f"{path}: build first, or give --build the right folder")
        return str(path)

    def tool(self, name):
        """A preload library or script of tests/tools."""
        for folder in (self.folder / "bin", self.folder / "tests" / "tools"):
            if (folder / name).exists():
                return str(folder / name)
        raise FileNotFoundError(f"{name} is neither in bin nor in tests/tools of {self.folder}")


class Lab:
    def __init__(self, build):
        self.build = build
        # A short name: the sockets' paths must fit 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="kf-"))
        self.folder.chmod(0o755)
        self.reports = self.folder / "sanitizer"
        self.reports.mkdir()
        self.reports.chmod(0o777)
        self.things = []
        self.cleanups = []

    def program_for_all(self, name):
        """A copy of a program that every user can reach, wherever the build is."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        return shutil.copy(self.build.program(name), folder / name)

    def small_disk(self, size_mib):
        """The folder of a tmpfs of that size; unmounted at the end."""
        place = self.folder / "small"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m,mode=755", "tmpfs",
                               str(place)], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"a tmpfs can not be mounted here: {done.stderr.strip()}")
        self.cleanup(lambda: subprocess.run(["umount", str(place)], check=True))
        return place

    def env(self, **extra):
        """The environment of everything started here. Sanitizers report into files of their own."""
        env = {key: value for key, value in os.environ.items() if not key.endswith("SAN_OPTIONS")}
        report = f"log_path={self.reports}/report"
        env["ASAN_OPTIONS"] = f"{report}:detect_stack_use_after_return=1"
        env["UBSAN_OPTIONS"] = f"{report}:print_stacktrace=1"
        env["TSAN_OPTIONS"] = report
        env.update(extra)
        return env

    def preload_env(self, *libraries, **extra):
        env = self.env(LD_PRELOAD=" ".join(self.build.tool(name) for name in libraries), **extra)
        env["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
        return env

    def camera(self, *mounts, name=None, user=None, password=None, env=None):
        """A started camera with these mounts."""
        camera = Camera(self, name or f"camera{len(self.things)}", mounts, user, password, env)
        self.things.append(camera)
        return camera.start()

    def keepframe(self, name=None, data=None, is_rival=False):
        """A Keepframe that is not started yet."""
        keepframe = Keepframe(self, name or f"keepframe{len(self.things)}", data, is_rival)
        self.things.append(keepframe)
        return keepframe

    def cleanup(self, function):
        """To be called at the end, when no process is left."""
        self.cleanups.append(function)

    def close(self, keep_in=None):
        """Ends everything and checks what must hold at the end of every test.

        With `keep_in` the logs and configurations are copied there first.
        """
        problems = []
        for thing in reversed(self.things):
            try:
                thing.stop()
            except Exception as error:  # one that does not stop must not hide the next
                problems.append(str(error))
        problems += self._end_leftovers()
        problems += self._sanitizer_reports()
        if keep_in or problems:
            self._keep(keep_in or self.build.folder / "e2e-logs" / self.folder.name)
        for function in reversed(self.cleanups):
            function()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not problems, "\n".join(problems)

    def _end_leftovers(self):
        try:
            wait_for("no process is left", lambda: not procs_of(self.folder), timeout=5)
            return []
        except AssertionError:
            left = procs_of(self.folder)
            for proc in left:
                os.kill(proc.pid, 9)
            return [f"process left: {proc.pid} (of {proc.ppid}): {' '.join(proc.argv)}"
                    for proc in left]

    def _sanitizer_reports(self):
        reports = [(path, path.read_text(errors="replace"))
                   for path in sorted(self.reports.iterdir())]
        logs = [(path, path.read_text(errors="replace"))
                for path in sorted(self.folder.glob("*/*.log"))]
        return [f"{path.name}: {text[:6000]}" for path, text in reports + logs
                if any(word in text for word in SANITIZER_WORDS)]

    def _keep(self, target):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in [*self.folder.glob("*/*.log"), *self.folder.glob("*/*.yaml"),
                     *self.reports.iterdir()]:
            shutil.copy(path, target / f"{path.parent.name}-{path.name}")
        print(f"logs are kept in {target}")
