"""Whatever is killed, finished footage stays, recording goes on, and no process is left behind."""

import os
import signal
from pathlib import Path

import pytest

import media
from camera import Mount
from procs import alive, open_files, procs_of, wait_gone

SHORT = {"segment": "2s", "timeout": "5s"}
ONE = Mount("one", bframes=2)
TWO = Mount("two")


@pytest.fixture
def pair(lab):
    """A Keepframe that records two cameras in segments of 2 s."""
    camera = lab.camera(ONE, TWO)
    keepframe = lab.keepframe()
    keepframe.configure({name: {"url": camera.url(name)} for name in ("one", "two")},
                        recording=SHORT)
    keepframe.start().wait_ready()
    return keepframe


def pictures(keepframe, rows, mount):
    """picture_hash() of everything in these sealed segments, in order."""
    return [picture for row in rows
            for picture in media.picture_hashes(keepframe.segment_file(row), mount.codec)]


def assert_as_sent(build, mount, kept):
    """`kept` is one unbroken stretch of what the camera sent."""
    sent = mount.sent_pictures(build)
    begin = sent.index(kept[0])
    assert kept == (sent * 2)[begin:begin + len(kept)], "pictures are missing or out of order"


def assert_sound(keepframe, rows):
    """Each of these sealed segments is a plain MP4 that plays."""
    for row in rows:
        path = keepframe.segment_file(row)
        types = media.top_types(path)
        assert types.count("moov") == 1 and "moof" not in types, f"{row.id}: {types}"
        assert media.decode_complaints(path) == "", row.id


def filed(keepframe, camera, run, number):
    """The sealed segment of that run and number, once there is one."""
    return keepframe.wait_for(f"segment {run}-{number:06} of {camera} is sealed", lambda: [
        row for row in keepframe.sealed(camera) if (row.run, row.number) == (run, number)])[0]


def test_a_killed_recorder_is_replaced_and_its_last_segment_saved(pair, build):
    other = pair.wait_recorder("two")
    before = pair.wait_sealed("one", 1)[-1]
    broken = pair.wait_open("one", longer_than_us=700_000)
    pid = pair.recorder_pid("one")
    os.kill(pid, signal.SIGKILL)
    assert pair.wait_recorder("one", other_than=pid) != pid
    after = pair.wait_open("one", run_after=broken.run)
    assert after.run > broken.run
    saved = filed(pair, "one", broken.run, broken.number)
    assert saved.end_us - saved.start_us >= 500_000
    rows = [row for row in pair.sealed("one") if row.run == before.run]
    assert_sound(pair, rows)
    assert_as_sent(build, ONE, pictures(pair, rows, ONE))
    assert pair.recorder_pid("two") == other, "the other camera's recorder was touched"
    assert len({row.run for row in pair.segments("two")}) == 1


def test_a_killed_indexer_comes_back_and_loses_nothing(pair, build):
    recorders = {name: pair.wait_recorder(name) for name in ("one", "two")}
    pair.wait_sealed("one", 1)
    pair.wait_open("one", longer_than_us=500_000)
    growing = pair.newest_cache_file("one")
    inode = growing.stat().st_ino
    dead = pair.kill_program("keepframe-indexer")
    pair.wait_program("keepframe-indexer", other_than=dead)
    # The restarted one has filed something: it has been through the cache.
    rows = pair.wait_sealed("one", 2, after=pair.sealed("one")[-1])
    assert {name: pair.recorder_pid(name) for name in recorders} == recorders
    row = next(row for row in pair.sealed("one")
               if growing.name == f"{row.run}-{row.number:06}.mp4")
    assert pair.segment_file(row).stat().st_ino == inode
    rows = pair.sealed("one")
    assert [row.number for row in rows] == list(range(len(rows)))
    assert_sound(pair, rows)
    assert_as_sent(build, ONE, pictures(pair, rows, ONE))


def test_a_restarted_indexer_leaves_the_file_alone_that_is_being_written(pair, build):
    """It is killed and restarted again and again while one segment grows."""
    pair.wait_sealed("one", 1)
    recorder = pair.wait_recorder("one")

    def being_written():
        return [name for name in open_files(recorder) if name.endswith(".mp4")]

    def look():
        """What a file holds that was being written all the while, once there is some of it."""
        before = being_written()
        types = media.top_types(Path(before[0])) if before else []
        return types if being_written() == before and "moof" in types else None

    for restarts in range(1, 4):
        dead = pair.kill_program("keepframe-indexer")
        pair.wait_program("keepframe-indexer", other_than=dead)
        pair.wait_log_count("indexing", restarts + 1)
        types = pair.wait_for("a segment grows", look)
        assert types[:2] == ["ftyp", "moov"] and types.count("moov") == 1, types
    last = pair.sealed("one")[-1]
    pair.wait_sealed("one", 2, after=last)
    rows = pair.sealed("one")
    assert_as_sent(build, ONE, pictures(pair, rows, ONE))


def test_a_killed_web_interface_comes_back_while_recording_goes_on(pair):
    recorders = {name: pair.wait_recorder(name) for name in ("one", "two")}
    indexer = pair.wait_program("keepframe-indexer")
    pair.wait_sealed("one", 1)
    dead = pair.kill_program("keepframe-webui")
    pair.wait_program("keepframe-webui", other_than=dead)
    pair.wait_ready()
    pair.wait_sealed("one", 2, after=pair.sealed("one")[-1])
    assert {name: pair.recorder_pid(name) for name in recorders} == recorders
    assert pair.program_pid("keepframe-indexer") == indexer
    rows = pair.sealed("one")
    assert [row.number for row in rows] == list(range(len(rows)))


def test_recording_goes_on_while_indexer_and_web_interface_are_dead(pair, build):
    """Stopped, they are as good as dead, and nobody restarts them."""
    pair.wait_sealed("one", 1)
    programs = [pair.wait_program(name) for name in ("keepframe-indexer", "keepframe-webui")]
    for pid in programs:
        os.kill(pid, signal.SIGSTOP)
    try:
        newest = pair.newest_cache_file("one")
        pair.wait_for("three more segments are in the cache", lambda: len(
            [path for path in pair.cache_files("one") if path.name > newest.name]) >= 3)
    finally:
        for pid in programs:
            if alive(pid):
                os.kill(pid, signal.SIGCONT)
    number = int(newest.name[:-4].split("-")[1]) + 2
    run = int(newest.name.split("-")[0])
    filed(pair, "one", run, number)
    rows = [row for row in pair.sealed("one") if row.run == run]
    assert_as_sent(build, ONE, pictures(pair, rows, ONE))


def test_no_recorder_survives_a_killed_supervisor_and_all_is_indexed_later(pair, build):
    pair.wait_sealed("one", 2)
    opened = pair.wait_open("one", longer_than_us=700_000)
    recorders = [pair.wait_recorder(name) for name in ("one", "two")]
    programs = [pair.wait_program(name) for name in ("keepframe-indexer", "keepframe-webui")]
    pair.kill()
    for pid in [*recorders, *programs]:
        wait_gone(pid)
    assert not [proc for proc in procs_of(pair.folder) if proc.program != "testcam"]
    left = pair.cache_files("one") + pair.cache_files("two")
    pair.start().wait_ready()
    for path in left:
        run, number = path.name[:-4].split("-")
        filed(pair, path.parts[-3], int(run), int(number))
    # By the indexer that was told to end, or by the next one.
    filed(pair, "one", opened.run, opened.number)
    first_run = pair.sealed("one")[0].run
    rows = [row for row in pair.sealed("one") if row.run == first_run]
    assert_sound(pair, rows)
    assert_as_sent(build, ONE, pictures(pair, rows, ONE))
    pair.wait_for("the run's end is in the catalog", lambda: ("supervisor_died",) in pair.catalog(
        "SELECT reason FROM run WHERE run = ?", first_run))


# --- Ended at a point of the indexer's work, by a preload library

SEGMENT = "-000001.mp4"  # part of the second segment's name in the cache


def end_indexer_at(lab, point):
    """Records camera "one" with an indexer that dies at `point` and is not restarted. Returns the
    Keepframe, whose supervisor is stopped (SIGSTOP), and the segment file's paths."""
    camera = lab.camera(ONE)
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}}, recording=SHORT)
    once = keepframe.folder / "crashed"
    keepframe.start(env=lab.preload_env("crashpoint.so", CRASHPOINT=point,
                                        CRASHPOINT_ONCE=str(once),
                                        CRASHPOINT_PROGRAM="keepframe-indexer"))
    indexer = keepframe.wait_program("keepframe-indexer")
    keepframe.wait_recorder("one")
    keepframe.send(signal.SIGSTOP)
    try:
        keepframe.wait_for(f"the indexer has reached {point}", once.exists)
        wait_gone(indexer, context=keepframe.log_tail)
    except BaseException:
        keepframe.send(signal.SIGCONT)
        raise
    return keepframe


def crashed_file(keepframe):
    (path,) = [path for path in keepframe.cache_files("one") if path.name.endswith("-000001.mp4")]
    return path


def recover(keepframe):
    """Lets the supervisor restart the indexer. Returns the first two segments, sealed."""
    keepframe.send(signal.SIGCONT)
    keepframe.wait_ready()
    keepframe.wait_for("the segments are sealed", lambda: {0, 1, 2} <= {
        row.number for row in keepframe.sealed("one")})
    rows = keepframe.sealed("one")
    assert len({row.id for row in rows}) == len(rows)
    return rows


def assert_recovered(keepframe, build, original):
    rows = recover(keepframe)
    path = keepframe.segment_file(rows[1])
    assert media.frame_hashes(path) == original
    assert_sound(keepframe, rows)
    assert_as_sent(build, ONE, pictures(keepframe, rows, ONE))
    keepframe.wait_for("the cache name is gone", lambda: not any(
        path.name.endswith("-000001.mp4") for path in keepframe.cache_files("one")))
    files = [media.identity_of(path) for path in keepframe.volume_files("one")]
    assert len(files) == len(set(files)), f"one segment is filed twice: {files}"
    assert not list((keepframe.video / ".quarantine").rglob("*.mp4"))


def test_ended_in_the_middle_of_the_new_moov(lab, build):
    keepframe = end_indexer_at(lab, f"pwrite:{SEGMENT}:1:half")
    path = crashed_file(keepframe)
    moov = media.top_boxes(path)[-1]
    assert moov.type == "moov" and moov.offset + moov.size > path.stat().st_size
    assert_recovered(keepframe, build, media.frame_hashes(path))


def test_ended_between_the_new_moov_and_the_flip(lab, build):
    keepframe = end_indexer_at(lab, f"pwrite:{SEGMENT}:2:before")
    path = crashed_file(keepframe)
    types = media.top_types(path)
    assert types.count("moov") == 2 and types[-1] == "moov" and "moof" in types, types
    assert_recovered(keepframe, build, media.frame_hashes(path))


def test_ended_between_the_flip_and_the_sync(lab, build):
    keepframe = end_indexer_at(lab, f"pwrite:{SEGMENT}:2:after")
    path = crashed_file(keepframe)
    assert media.top_types(path) == ["ftyp", "mdat", "moov"]
    assert_recovered(keepframe, build, media.frame_hashes(path))


@pytest.mark.parametrize("lost", ["its second half", "some sizes of samples"])
def test_a_power_cut_between_the_flip_and_the_sync_loses_part_of_the_new_moov(lab, build, lost):
    """The flip has reached the disk, part of the moov has not."""
    keepframe = end_indexer_at(lab, f"pwrite:{SEGMENT}:2:after")
    path = crashed_file(keepframe)
    original = media.frame_hashes(path)
    moov = media.top_boxes(path)[-1]
    with open(path, "r+b") as file:
        if lost == "its second half":
            file.seek(moov.offset + moov.size // 2)
            file.write(bytes(moov.size - moov.size // 2))
        else:
            file.seek(path.read_bytes().index(b"stsz", moov.offset) + 20)
            file.write(bytes(40))
    assert_recovered(keepframe, build, original)


def test_ended_after_the_link_before_the_commit(lab, build):
    keepframe = end_indexer_at(lab, f"link:{SEGMENT}:1:after")
    path = crashed_file(keepframe)
    assert path.stat().st_nlink == 2, "it is not linked into the volume"
    number = "SELECT count(*) FROM footage WHERE number = 1"
    assert keepframe.catalog(number) == [(0,)]
    assert_recovered(keepframe, build, media.frame_hashes(path))


def test_ended_after_the_commit_before_the_unlink(lab, build):
    keepframe = end_indexer_at(lab, f"unlink:{SEGMENT}:1:before")
    path = crashed_file(keepframe)
    assert path.stat().st_nlink == 2, "it is not linked into the volume"
    number = "SELECT count(*) FROM footage WHERE number = 1"
    assert keepframe.catalog(number) == [(1,)]
    assert_recovered(keepframe, build, media.frame_hashes(path))
