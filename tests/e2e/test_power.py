"""The power is cut while three cameras are recorded: what was filed is exact, the catalog is sound and
names nothing that is not there, and what was being written lost no more than it may."""

import hashlib
import os
import shutil
import signal
import sqlite3
import struct
import time
from dataclasses import dataclass

import pytest

import media
from archive import indexer
from camera import Mount
from disk import Disk
from procs import procs_of, wait_gone

FPS = 25
SYNC_S = 1  # recording.sync
FRAGMENT_S = 0.5
SLACK_S = 1.5  # a round begins with the loop's next second and takes its time on a busy machine

# Two that are filed every two seconds, so that the cut meets seals and commits; one whose file stays open.
MOUNTS = (Mount("yard", bframes=2, audio=True), Mount("door"), Mount("hall"))
OPEN = "hall"

FOOTAGE = "SELECT camera, stream, run, number, size_bytes, volume FROM footage"


def put_together(lab, form, kind):
    """(disk, keepframe): all on the disk that will be cut, or the volume alone, which is then another
    file system than the cache."""
    disk = Disk(lab, kind)
    camera = lab.camera(*MOUNTS)
    keepframe = lab.keepframe(data=disk.place / "data" if form != "volume" else None)
    keepframe.video = disk.place / "video"
    keepframe.configure(
        {mount.name: {"url": camera.url(mount.name),
                      "segment": "60s" if mount.name == OPEN else "2s"} for mount in MOUNTS},
        recording={"timeout": "5s", "sync": f"{SYNC_S}s"},
        storage={"volumes": [{"path": str(keepframe.video), "min_free": "1MiB"}]})
    return disk, keepframe


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def located(keepframe):
    """{identity: path} of all that is in the volume."""
    return {media.identity_of(path): path for path in keepframe.volume_files()}


def rows_of(database):
    """{identity: bytes} of a catalog that nobody has open."""
    connection = sqlite3.connect(database)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {f"{camera}/{stream}/{run}-{number:06}": size
                for camera, stream, run, number, size, _ in connection.execute(FOOTAGE)}
    finally:
        connection.close()


def pictures_in_fragments(path):
    """How many pictures a growing file has in whole fragments."""
    data, pictures, behind = path.read_bytes(), 0, None
    for box in media.boxes_in(data):
        if box.offset + box.size > len(data):
            break
        if box.type == "moof":
            behind = box
        elif box.type == "mdat" and behind:
            for traf in media.boxes_in(media.content(data, behind)):
                if traf.type != "traf":
                    continue
                inside = media.content(media.content(data, behind), traf)
                (track,) = struct.unpack_from(">I", media.child(inside, "tfhd"), 4)
                if track == 1:
                    pictures += struct.unpack_from(">I", media.child(inside, "trun"), 4)[0]
    return pictures


@dataclass
class Before:
    """What is known of the archive in the moment before the cut."""

    committed: dict  # {identity: SHA-256 of its file}
    reached: dict  # {(camera, run): pictures that the recorder had written}


def take_down(keepframe, mounts=MOUNTS):
    files = located(keepframe)
    committed = {}
    for row in keepframe.catalog(FOOTAGE):
        identity = f"{row[0]}/{row[1]}/{row[2]}-{row[3]:06}"
        # A file that is not found was linked after the listing.
        committed[identity] = digest(files.get(identity) or located(keepframe)[identity])
    reached = {}
    for mount in mounts:
        newest = keepframe.newest_cache_file(mount.name)
        run = newest.name.split("-")[0]
        counted = {}
        for path in [*keepframe.volume_files(mount.name), *keepframe.cache_files(mount.name)]:
            try:
                identity = media.identity_of(path) or f"{mount.name}/main/{path.stem}"
                sealed = "moof" not in media.top_types(path)
                counted[identity] = len(media.Movie(path).track("video").samples) if sealed \
                    else pictures_in_fragments(path)
            except FileNotFoundError:
                continue  # it is filed while we look
        reached[(mount.name, run)] = sum(
            count for identity, count in counted.items() if f"/{run}-" in identity)
    return Before(committed, reached)


def cut(disk, keepframe):
    """The disk stops dead, then everything that wrote to it ends."""
    disk.cut()
    pids = [proc.pid for proc in procs_of(keepframe.folder) + procs_of(keepframe.data)
            if proc.program != "testcam"]
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    keepframe.process.wait()
    keepframe.process = None
    for pid in pids:
        wait_gone(pid)
    disk.plug_in()


def assert_nothing_points_nowhere(lab, keepframe, before):
    """As the disk came back, before anybody works on it."""
    place = lab.folder / "as-found"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for path in keepframe.data.glob("catalog.db*"):
        if not path.name.endswith("-shm"):
            shutil.copy(path, place / path.name)
    rows = rows_of(place / "catalog.db")
    assert set(before.committed) <= set(rows), "a committed segment is not in the catalog any more"
    files = located(keepframe)
    for identity, size in rows.items():
        assert identity in files, f"{identity} has a row and no file"
        assert files[identity].stat().st_size == size, identity
        media.picture_hashes(files[identity], "h264")  # reads every sample
        if identity in before.committed:
            assert digest(files[identity]) == before.committed[identity], identity


def wait_recovered(keepframe, before):
    """Until all that the cut left in the cache is filed, and the cameras are recorded again."""
    keepframe.start().wait_ready()
    for camera, run in before.reached:
        keepframe.wait_for(f"the rest of run {run} of {camera} is filed", lambda: not [
            *(path for path in keepframe.cache_files(camera) if path.name.startswith(run)),
            *(path for path in keepframe.cache_files(camera, suffix=".json")
              if path.name.startswith(run))])
        keepframe.wait_open(camera, run_after=int(run), longer_than_us=500_000)


def assert_kept(keepframe, build, before):
    """Each run is one unbroken stretch of what the camera sent, up to shortly before the cut."""
    files = located(keepframe)
    for (camera, run), reached in before.reached.items():
        mount = next(mount for mount in MOUNTS if mount.name == camera)
        names = sorted(name for name in files if name.startswith(f"{camera}/main/{run}-"))
        kept = [picture for name in names
                for picture in media.picture_hashes(files[name], mount.codec)]
        lost_s = (reached - len(kept)) / FPS
        print(f"{camera}: {reached} pictures were written, {len(kept)} are kept: "
              f"{max(lost_s, 0):.2f} s lost")
        assert lost_s <= SYNC_S + FRAGMENT_S + SLACK_S, f"{camera}: {lost_s} s are lost"
        if kept:
            sent = mount.sent_pictures(build)
            begin = sent.index(kept[0])
            assert kept == (sent * 2)[begin:begin + len(kept)], f"{camera}: not what was sent"


def assert_whole(keepframe):
    """After a clean stop: catalog and files say the same, and verify has nothing to say."""
    files = located(keepframe)
    assert rows_of(keepframe.data / "catalog.db") == {
        identity: path.stat().st_size for identity, path in files.items()}
    for path in keepframe.data.glob("frames-*.db"):
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
    done = indexer(keepframe, "verify")
    assert done.returncode == 0 and done.stdout == "", done.stdout + done.stderr
    assert not list((keepframe.video / ".quarantine").rglob("*.mp4"))


@pytest.mark.parametrize("form", ["ext4", "xfs", "volume"])
def test_a_power_cut(lab, build, chance, is_long, form):
    """Once; seven times in the long form, each on what the cuts before have left. "volume": cache and
    catalog survive on another file system, so that a row that came too early is seen."""
    kind = chance.choice(["ext4", "xfs"]) if form == "volume" else form
    disk, keepframe = put_together(lab, form, kind)
    keepframe.start().wait_ready()
    for number in range(7 if is_long else 1):
        filed = keepframe.catalog("SELECT count(*) FROM footage")[0][0]
        keepframe.wait_for("segments are being filed", lambda: keepframe.catalog(
            "SELECT count(*) FROM footage")[0][0] >= filed + 4)
        time.sleep(chance.uniform(0, 2))  # the moment is the test's choice, nothing is waited for
        before = take_down(keepframe)
        cut(disk, keepframe)
        print(f"cut {number + 1} of {kind}, {form}: {len(before.committed)} segments were filed")
        assert_nothing_points_nowhere(lab, keepframe, before)
        wait_recovered(keepframe, before)
        assert_kept(keepframe, build, before)
    keepframe.stop()
    assert_whole(keepframe)


# --- What was synced, and what only seemed to be

SEGMENT = "-000001.mp4"  # part of the second segment's name in the cache


def record_one(lab, disk, env):
    """All on the disk, nothing is synced in rounds; until the second segment has its row."""
    camera = lab.camera(Mount("yard"))
    keepframe = lab.keepframe(data=disk.place / "data")
    keepframe.configure({"yard": {"url": camera.url("yard")}},
                        recording={"segment": "2s", "sync": "600s"})
    keepframe.start(env=env).wait_ready()
    keepframe.wait_for("the second segment has its row", lambda: keepframe.catalog(
        "SELECT size_bytes FROM footage WHERE number = 1"))
    return keepframe


def assert_rows_are_whole_after_a_cut(lab, disk, keepframe):
    before = take_down(keepframe, [Mount("yard")])
    cut(disk, keepframe)
    assert any(identity.endswith("-000001") for identity in before.committed)
    assert_nothing_points_nowhere(lab, keepframe, before)


def test_what_an_ended_indexer_had_sealed_is_synced_before_it_is_filed(lab):
    """The first one is killed between the header and the sync; the next one finds the file sealed."""
    disk = Disk(lab, "ext4")
    keepframe = record_one(lab, disk, env=lab.preload_env(
        "crashpoint.so", CRASHPOINT=f"pwrite:{SEGMENT}:2:after",
        CRASHPOINT_ONCE=str(lab.folder / "crashed"), CRASHPOINT_PROGRAM="keepframe-indexer"))
    assert (lab.folder / "crashed").exists()
    assert_rows_are_whole_after_a_cut(lab, disk, keepframe)


def test_a_sync_that_has_failed_once_is_not_believed_again(lab):
    """What could not be written counts as written from then on, for all that the system says."""
    disk = Disk(lab, "ext4")
    fault = lab.folder / "fault"
    fault.touch()
    keepframe = record_one(lab, disk, env=lab.preload_env(
        "failcall.so", FAILCALL=f"sync:{SEGMENT}:1:LOST", FAILCALL_WHILE=str(fault),
        FAILCALL_PROGRAM="keepframe-indexer"))
    assert fault.read_text(), "no sync has failed"
    assert_rows_are_whole_after_a_cut(lab, disk, keepframe)
