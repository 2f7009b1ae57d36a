"""A disk that becomes full for a while: recording goes on afterwards, and what happened is told."""


import pytest

import media
from camera import Mount

SIZE_MIB = 24


@pytest.fixture
def small_disk(lab):
    return lab.small_disk(SIZE_MIB)


def fill(place):
    """Takes all the room there is; returns the file that has it."""
    filler = place / "filler"
    with open(filler, "wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            return filler


def check_rows_and_files_agree(keepframe):
    """After a clean stop."""
    keepframe.stop()
    rows = [f"yard/main/{run}-{number:06}"
            for run, number in keepframe.catalog("SELECT run, number FROM footage")]
    files = [media.identity_of(path) for path in keepframe.volume_files()]
    assert sorted(rows) == sorted(files)


def test_a_full_cache_ends_runs_with_a_reason_that_is_kept(lab, small_disk):
    camera = lab.camera(Mount("yard"))
    keepframe = lab.keepframe()
    keepframe.cache = small_disk
    keepframe.configure(
        {"yard": {"url": camera.url("yard")}},
        recording={"segment": "2s"},
        storage={"cache": str(small_disk),
                 "volumes": [{"path": str(keepframe.video), "min_free": "0"}]})
    keepframe.start().wait_ready()
    first = keepframe.wait_sealed("yard", 1)[0]
    filler = fill(small_disk)
    keepframe.wait_log("can not be noted now")
    status = keepframe.wait_for("starts fail for it, too", lambda: [
        stream for stream in keepframe.ask("status")["result"]["streams"]
        if stream["failures"] > 1])[0]
    assert set(status["restarts_by_reason"]) == {"no_space"}
    filler.unlink()
    keepframe.wait_for("another run is filed", lambda: any(
        row.run > first.run for row in keepframe.sealed("yard")))
    keepframe.wait_for("the first run's end is in the catalog", lambda: keepframe.catalog(
        "SELECT reason FROM run WHERE run = ? AND end_us IS NOT NULL", first.run)
        == [("no_space",)])
    keepframe.wait_for("the run file has gone", lambda: not (
        small_disk / "yard" / "main" / f"{first.run}.json").exists())
    check_rows_and_files_agree(keepframe)


def test_a_full_volume_loses_nothing(lab, small_disk):
    camera = lab.camera(Mount("yard"))
    keepframe = lab.keepframe()
    keepframe.video = small_disk
    keepframe.configure(
        {"yard": {"url": camera.url("yard")}},
        recording={"segment": "2s"},
        storage={"volumes": [{"path": str(small_disk), "min_free": "0"}]})
    keepframe.start().wait_ready()
    keepframe.wait_sealed("yard", 1)
    filler = fill(small_disk)
    keepframe.wait_log("can not be filed now and stays in the cache")
    filler.unlink()
    known = len(keepframe.sealed("yard"))
    rows = keepframe.wait_sealed("yard", known + 3)
    assert [row.number for row in rows] == list(range(len(rows)))
    assert len({row.run for row in rows}) == 1
    check_rows_and_files_agree(keepframe)
