"""`min_free` and `continuous`: the oldest footage goes, rows and files agree, recording goes on."""

import os

import pytest

import media
from camera import Mount

CAMERAS = [Mount(name, width=640, height=360, gop=5, bitrate=4000, length=20)
           for name in ("a", "b", "c")]
SIZE_MIB, FREE_MIB = 40, 24


@pytest.fixture
def small_disk(lab):
    return lab.small_disk(SIZE_MIB)


def free_bytes(place):
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize


@pytest.mark.parametrize("whole", [True, False], ids=["cache on the volume", "volume alone"])
def test_min_free_deletes_the_oldest_and_recording_goes_on(lab, small_disk, whole):
    camera = lab.camera(*CAMERAS)
    keepframe = lab.keepframe(data=small_disk / "data" if whole else None)
    keepframe.video = small_disk / "video"
    keepframe.configure(
        {mount.name: {"url": camera.url(mount.name)} for mount in CAMERAS},
        recording={"segment": "2s"},
        storage={"volumes": [{"path": str(keepframe.video), "min_free": f"{FREE_MIB}MiB"}]})
    keepframe.start().wait_ready()
    firsts = {mount.name: keepframe.wait_sealed(mount.name, 1)[0] for mount in CAMERAS}
    runs = {name: row.run for name, row in firsts.items()}
    known = {}  # every segment that was ever seen

    def look():
        """What is there, remembered. All streams in one go, so that the view is nearly one."""
        rows = [row for name in firsts for row in keepframe.sealed(name)]
        known.update({row.id: row for row in rows})
        return {row.id for row in rows}

    def gone():
        return set(known) - look()

    keepframe.wait_for("footage of every camera was deleted", lambda: all(
        row.id in gone() for row in firsts.values()), timeout=120)
    keepframe.wait_for("ten segments were deleted", lambda: len(gone()) >= 10, timeout=120)

    # The oldest went, over all streams: nothing is left that is older than something deleted.
    left = look()
    deleted = set(known) - left
    oldest_left = min(known[one].start_us for one in left)
    assert max(known[one].start_us for one in deleted) <= oldest_left
    for one in sorted(deleted)[:3]:
        assert keepframe.log_lines(one, "min_free"), f"the log does not say why {one} was deleted"

    # Room is kept, but for what is being written and what one segment takes.
    largest = max(row.bytes for row in known.values())
    assert free_bytes(small_disk) > FREE_MIB * 2**20 - (2 * len(CAMERAS) + 1) * largest

    # Recording has not been disturbed by any of it.
    for name, run in runs.items():
        row = keepframe.wait_open(name)
        assert row.run == run, f"the recorder of {name} was restarted"
        numbers = [row.number for row in keepframe.sealed(name)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    keepframe.stop()
    assert_rows_and_files_agree(keepframe)


def assert_rows_and_files_agree(keepframe):
    rows = keepframe.catalog(
        "SELECT camera || '/' || stream || '/' || run || '-' || printf('%06d', number), size_bytes FROM footage")
    files = {media.identity_of(path): path.stat().st_size for path in keepframe.volume_files()}
    assert None not in files, "a file of the volume has no identity"
    assert files == dict(rows)
    assert keepframe.catalog("SELECT count(*) FROM garbage") == [(0,)]
    totals = keepframe.catalog("SELECT sum(bytes), sum(segments) FROM stream_total")
    assert totals == [(sum(files.values()), len(files))]


def test_footage_past_its_age_is_deleted_and_younger_is_kept(lab):
    camera = lab.camera(Mount("brief"), Mount("long"))
    keepframe = lab.keepframe()
    keepframe.configure(
        {"brief": {"url": camera.url("brief"), "retain": {"continuous": "10s"}},
         "long": {"url": camera.url("long")}}, recording={"segment": "2s"})
    keepframe.start().wait_ready()
    first = {name: keepframe.wait_sealed(name, 1)[0] for name in ("brief", "long")}
    path = keepframe.segment_file(first["brief"])
    keepframe.wait_for("the first segment of the brief one has gone", lambda: first["brief"].id
                       not in {row.id for row in keepframe.sealed("brief")}, timeout=120)
    newest = keepframe.wait_open("brief")
    keepframe.wait_for("its file has gone", lambda: not path.exists())
    assert newest.end_us - first["brief"].end_us >= 10_000_000 - 1_000_000
    assert first["long"].id in {row.id for row in keepframe.sealed("long")}
    assert keepframe.log_lines(first["brief"].id, "continuous")
