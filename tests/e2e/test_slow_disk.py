"""A disk that does not answer keeps those waiting who want what is on it, and nobody else."""

import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path

import pytest

from archive import fill
from procs import cpu_seconds
from times import format_utc

READERS = 8


@pytest.fixture
def archive(lab):
    """Footage of two cameras on two disks: "slow" on the first, "quick" on the second."""
    other = Path(tempfile.mkdtemp(prefix="kf-slow-", dir="/dev/shm"))
    lab.cleanup(lambda: shutil.rmtree(other, ignore_errors=True))
    keepframe = lab.keepframe()
    if other.stat().st_dev == keepframe.folder.stat().st_dev:
        pytest.skip("there are no two disks here")
    volumes = [{"path": str(keepframe.video), "min_free": "1MiB"},
               {"path": str(other), "min_free": "1MiB"}]
    cameras = {name: {"url": "rtsp://127.0.0.1:9/none", "enabled": False}
               for name in ("slow", "quick")}
    # Both volumes are marked by the first start; what is filed goes to the one that is configured.
    for chosen, camera in ((volumes, None), (volumes[:1], "slow"), (volumes[1:], "quick")):
        keepframe.configure(cameras, storage={"volumes": chosen})
        keepframe.start().wait_ready()
        if camera:
            fill(keepframe, camera, runs=4)
        keepframe.stop()
    keepframe.configure(cameras, storage={"volumes": volumes})
    return keepframe


@pytest.fixture
def gate(archive):
    """The slow disk answers nothing while this file is there."""
    gate = archive.folder / "gate"
    gate.write_text("")
    archive.start(env=archive.lab.preload_env(
        "slowdisk.so", SLOW_PATH=f"{archive.video}/slow/", SLOW_GATE=str(gate),
        SLOW_PROGRAM="keepframe-webui")).wait_ready()
    yield gate
    gate.unlink(missing_ok=True)
    archive.stop()


def whole(keepframe, camera):
    """Parameters of all the footage of a camera."""
    rows = keepframe.sealed(camera)
    return {"start": format_utc(rows[0].start_us), "end": format_utc(rows[-1].end_us)}


def test_requests_pass_those_that_wait_for_a_slow_disk(archive, gate):
    keepframe = archive
    slow, quick = whole(keepframe, "slow"), whole(keepframe, "quick")
    answers = []

    def read():
        answers.append(keepframe.download("slow", **slow))
    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    keepframe.wait_for("all readers have been answered", lambda: requests(keepframe) >= READERS)
    times = []
    for _ in range(50):
        for ask in (lambda: keepframe.download("quick", **quick),
                    lambda: keepframe.get("/api/v1/cameras/quick/main/segments", quick)):
            begin = time.monotonic()
            ask().expect(200)
            times.append(time.monotonic() - begin)
    # Who waits is not asked again and again: that would take a processor.
    pid = keepframe.wait_program("keepframe-webui")
    begin = cpu_seconds(pid)
    time.sleep(1)
    used = cpu_seconds(pid) - begin
    assert used < 0.5, f"{used} s of processor time in a second of waiting"
    assert not answers and all(reader.is_alive() for reader in readers)
    print(f"requests beside {READERS} readers of a disk that does not answer: median "
          f"{statistics.median(times) * 1000:.1f} ms, 99 % {sorted(times)[98] * 1000:.1f} ms, "
          f"worst {max(times) * 1000:.1f} ms")
    gate.unlink()
    for reader in readers:
        reader.join(60)
    assert len(answers) == READERS
    assert len({answer.expect(200).body for answer in answers}) == 1
    assert int(answers[0].headers["Content-Length"]) == len(answers[0].body)


def requests(keepframe):
    """How many downloads were answered, their bytes apart."""
    for line in keepframe.get("/metrics").body.decode().splitlines():
        if line.startswith("keepframe_http_requests_total") and '"/video/' in line:
            return float(line.split()[-1])
    return 0
