"""Catalog and volumes are held against each other: at a start where something was written since the
last clean stop, and everywhere when asked to."""

import os
import shutil

import media
from archive import fill, footage_of, forget_catalog, indexer
from times import format_utc, parse_utc


def status_of(keepframe):
    return keepframe.ask_indexer("status")["result"]["reconcile"]


def start(keepframe):
    """Starts it and waits for the round of the start. What that found."""
    keepframe.start().wait_ready()
    return keepframe.wait_for("the round of the start is over", lambda: (
        lambda found: None if found["running"] else found)(status_of(keepframe)))


def reconcile(keepframe, *words, code=0):
    done = indexer(keepframe, "reconcile", *words)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def untouched(folder):
    """What sets a directory's times back, as if nobody had written to it."""
    info = folder.stat()
    return lambda: os.utime(folder, ns=(info.st_atime_ns, info.st_mtime_ns))


def test_after_a_clean_stop_nothing_is_looked_at(archive):
    found = start(archive)
    assert (found["directories"], found["all"], found["trouble"]) == (0, False, None)


def test_a_file_that_went_is_a_gap_and_comes_back(archive):
    before = footage_of(archive)
    path = archive.volume_files("yard")[2]
    identity = media.identity_of(path)
    away = path.rename(archive.folder / "away.mp4")
    found = start(archive)
    assert (found["missing"], found["indexed"]) == (1, 0)
    rows = archive.sealed("yard")
    assert len(rows) == 5 and identity not in {row.id for row in rows}
    # A download leaves it out, and the time without footage has its cause.
    whole = {"start": format_utc(rows[0].start_us), "end": format_utc(rows[-1].end_us)}
    answer = archive.download("yard", **whole).expect(200)
    frames = len(media.Movie(answer.body).track("video").samples)
    assert frames == sum(row.track("video")["samples"] for row in rows)
    assert archive.catalog("SELECT camera, run || '-' || printf('%06d', number) FROM missing"
                           " JOIN stream ON stream.id = stream_id") == [
        ("yard", identity.rsplit("/", 1)[1])]
    archive.stop()

    away.rename(path)
    found = start(archive)
    assert (found["missing"], found["indexed"]) == (0, 1)
    assert len(archive.sealed("yard")) == 6
    archive.stop()
    assert footage_of(archive) == before
    assert archive.catalog("SELECT count(*) FROM missing") == [(0,)]


def test_on_demand_everything_is_looked_at(archive):
    before = footage_of(archive)
    path = archive.volume_files("door")[0]
    as_before = untouched(path.parent)
    away = path.rename(archive.folder / "away.mp4")
    as_before()
    assert start(archive)["missing"] == 0
    said = reconcile(archive, "--dry-run")
    assert "1 rows without their file\n" in said and "0 files without a row\n" in said
    assert len(archive.sealed("door")) == 4
    assert "1 rows without their file: missing" in reconcile(archive)
    assert len(archive.sealed("door")) == 3
    away.rename(path)
    assert "1 files without a row\n" in reconcile(archive, "--dry-run")
    assert len(archive.sealed("door")) == 3
    assert "1 files without a row: indexed" in reconcile(archive)
    assert "0 files" in reconcile(archive)
    archive.stop()
    assert footage_of(archive) == before


def test_a_brake_when_more_than_half_would_go(archive):
    files = archive.volume_files()
    for path in files[:len(files) // 2 + 1]:
        path.unlink()
    found = start(archive)
    assert found["braked"] and found["missing"] == len(files) // 2 + 1
    assert len(archive.sealed("yard")) + len(archive.sealed("door")) == len(files)
    assert archive.log_lines("is all of it mounted?")
    assert "more than half" in reconcile(archive, code=1)
    assert len(archive.sealed("yard")) + len(archive.sealed("door")) == len(files)
    reconcile(archive, "--force")
    assert len(archive.sealed("yard")) + len(archive.sealed("door")) == len(files) // 2 - 1


def test_a_whole_camera_that_was_removed_is_missing(archive):
    shutil.rmtree(archive.video / "door")
    found = start(archive)
    assert found["missing"] == 4 and not found["braked"]
    assert archive.sealed("door") == [] and len(archive.sealed("yard")) == 6


def test_strangers_are_left_alone_and_stop_nothing(archive):
    path = archive.volume_files("yard")[0]
    strangers = {path.with_name("a.mp4"): b"not ours" * 999, path.with_name("b.txt"): b"not ours",
                 path.with_name("c.mp4"): path.read_bytes()[:2000]}
    for place, content in strangers.items():
        place.write_bytes(content)
    twin = shutil.copy(path, path.with_name("twin.mp4"))
    away = archive.volume_files("door")[1].rename(archive.folder / "away.mp4")
    found = start(archive)
    assert (found["missing"], found["indexed"], found["unknown"]) == (1, 0, 3)
    for place, content in strangers.items():
        assert place.read_bytes() == content
    assert twin.exists() and away.exists()
    assert len(archive.sealed("yard")) == 6


def test_a_lost_catalog_is_filled_by_the_start(archive):
    before = footage_of(archive)
    forget_catalog(archive)
    found = start(archive)
    assert found["all"] and found["indexed"] == 10
    archive.stop()
    assert footage_of(archive) == before
    assert start(archive)["directories"] == 0


def test_recording_goes_on_meanwhile(archive):
    """What is being filed has a file before it has a row: that is no finding."""
    archive.start().wait_ready()
    fill(archive, "new", "h264", runs=4)
    for _ in range(3):
        said = reconcile(archive)
        assert "0 files" in said and "0 rows" in said
    assert len(archive.sealed("new")) == 8


def test_it_is_for_those_who_may(archive):
    archive.start().wait_ready()
    answer = archive.ask_indexer("reconcile", dry_run=True)
    assert answer["ok"] and parse_utc(answer["result"]["start"]) > 0
    archive.stop()
    done = indexer(archive, "reconcile")
    assert done.returncode == 1 and "can not be asked" in done.stderr
