"""Fixtures of the whole-system tests: the build, a laboratory for each test, shared recordings."""

import os
import random
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from archive import fill
from camera import Mount
from lab import Build, Lab

TREE = Path(__file__).resolve().parents[2]
sys.path.append(str(TREE / "tests" / "tools"))


def pytest_addoption(parser):
    parser.addoption("--build", default=str(TREE / "build" / "asan"),
                     help="folder of the build under test (default: build/asan)")
    parser.addoption("--long", action="store_true",
                     help="the long form of the tests that have one; with a build without sanitizers")
    parser.addoption("--seed", type=int, default=None, help="seed of the random choices")


@pytest.fixture(scope="session")
def build(pytestconfig):
    return Build(pytestconfig.getoption("--build"))


@pytest.fixture
def chance(pytestconfig):
    """A source of random choices; its seed is printed, and --seed repeats it."""
    seed = pytestconfig.getoption("--seed")
    seed = time.time_ns() % 1_000_000_000 if seed is None else seed
    print(f"random choices: --seed {seed}")
    source = random.Random(seed)
    source.number = seed
    return source


@pytest.fixture
def tell(record_property):
    """tell(TEXT) puts a line into the report of the whole session, when the test has passed too."""
    return lambda text: record_property("told", text)


def pytest_terminal_summary(terminalreporter):
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, text in getattr(report, "user_properties", []):
                if name == "told" and report.when == "call":
                    terminalreporter.write_line(text)


@pytest.fixture
def is_long(pytestconfig):
    return pytestconfig.getoption("--long")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    if outcome.get_result().failed:
        item.stash[FAILED] = True


FAILED = pytest.StashKey[bool]()


@pytest.fixture
def lab(request, build):
    """A folder, cameras and Keepframes of the test's own, ended and checked after it."""
    lab = Lab(build)
    yield lab
    lab.close(keep_in=_logs_of(build, request.node.nodeid)
              if request.node.stash.get(FAILED, False) else None)


def _logs_of(build, name):
    return build.folder / "e2e-logs" / name.replace("/", "-").replace("::", "-")


@pytest.fixture(scope="session")
def filed(build):
    """A Keepframe with filed footage of two cameras, stopped cleanly; and a copy of all its data."""
    lab = Lab(build)
    try:
        keepframe = lab.keepframe().configure({})
        keepframe.start().wait_ready()
        fill(keepframe, runs=3)
        fill(keepframe, "door", "h265", runs=2)
        keepframe.stop()
        for folder, _, _ in os.walk(keepframe.video):
            os.utime(folder, (0, 0))  # as if all of it was of long ago
        yield keepframe, shutil.copytree(keepframe.data, lab.folder / "copy")
    finally:
        lab.close()


@pytest.fixture
def archive(filed):
    """That Keepframe, its configuration, its data and the times of its directories as they were."""
    keepframe, copy = filed
    shutil.rmtree(keepframe.data)
    shutil.copytree(copy, keepframe.data)
    yield keepframe.configure({})
    keepframe.stop()


@pytest.fixture(scope="session")
def mixed(request, build):
    """A Keepframe with an archive of everything that there can be, which tests only read."""
    from mixed import Mixed
    seed = request.config.getoption("--seed") or time.time_ns() % 1_000_000_000
    lab = Lab(build)
    failed_before = request.session.testsfailed
    try:
        yield Mixed(lab, seed)
    finally:
        failed = request.session.testsfailed > failed_before
        lab.close(keep_in=_logs_of(build, f"mixed-{os.getpid()}") if failed else None)


@dataclass
class Recording:
    """Thirty seconds and more of several cameras, which tests share and only read."""

    keepframe: object
    camera: object
    mounts: dict = field(default_factory=dict)


# Of the finished cameras of the shared recording; "live" goes on recording.
FINISHED = {
    "avc": Mount("avc", audio=True),
    "bframes": Mount("bframes", bframes=2, audio=True),
    "hevc": Mount("hevc", codec="h265", bframes=2, audio=True),
    "silent": Mount("silent", bframes=2, clock="wall"),
}
LIVE = Mount("live")
PASSWORD = "ro%sa@n'e7Yq\"0xZ"


@pytest.fixture(scope="session")
def recording(request, build):
    """Four cameras recorded for 30 s in segments of 5 s and stopped, all sealed; and a fifth that
    is still being recorded. The camera asks for a Digest login."""
    lab = Lab(build)
    failed_before = request.session.testsfailed
    try:
        yield _record(lab)
    finally:
        failed = request.session.testsfailed > failed_before
        lab.close(keep_in=_logs_of(build, f"recording-{os.getpid()}") if failed else None)


def _record(lab):
    camera = lab.camera(*FINISHED.values(), LIVE, name="camera", user="nvr", password=PASSWORD)
    keepframe = lab.keepframe("keepframe")

    def streams(finished_enabled):
        return {name: {"url": camera.url(name), "username": "nvr",
                       "password_file": str(camera.password_file),
                       "enabled": finished_enabled or name == "live"}
                for name in [*FINISHED, "live"]}

    keepframe.configure(streams(True)).start().wait_ready()
    for name in FINISHED:
        keepframe.wait_sealed(name, 6)
    keepframe.configure(streams(False)).send(signal.SIGHUP)
    for name in FINISHED:
        keepframe.wait_for(f"{name} is stopped", lambda: not keepframe.recorder_pid(name))
        keepframe.wait_for(f"all of {name} is filed", lambda: not keepframe.cache_files(name))
        keepframe.wait_for(f"all of {name} is sealed", lambda: all(
            row.state == "sealed" for row in keepframe.segments(name)))
    return Recording(keepframe, camera, {**FINISHED, "live": LIVE})
