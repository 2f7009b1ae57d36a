"""Several volumes: which one takes a segment, what happens when one is full, away, read-only or new."""

import subprocess

import pytest

import media
from camera import Mount
from times import format_utc

YARD = Mount("yard")
BUSY = Mount("busy", width=640, height=360, gop=5, bitrate=4000, length=30)


def volumes_of(keepframe):
    return {volume["path"]: volume for volume in keepframe.ask_indexer("status")["result"]["volumes"]}


def configure(keepframe, camera, mount, *volumes, **recording):
    keepframe.configure(
        {mount.name: {"url": camera.url(mount.name)}}, recording={"segment": "2s", **recording},
        storage={"volumes": [{"path": str(path), "min_free": free} for path, free in volumes]})
    return keepframe


def assert_rows_and_files_agree(keepframe, *volumes):
    """After a clean stop: each row's file is in the row's volume, and no other file is there."""
    rows = {(volume, f"{camera}/{stream}/{run}-{number:06}") for camera, stream, run, number, volume
            in keepframe.catalog("SELECT camera, stream, run, number, volume FROM footage")}
    files = {(str(volume), media.identity_of(path)) for volume in volumes
             for path in keepframe.volume_files(volume=volume)}
    assert rows == files


def test_a_full_volume_spills_to_the_next_and_nothing_is_deleted(lab):
    camera = lab.camera(BUSY)
    small = lab.small_disk(32)
    keepframe = lab.keepframe()
    configure(keepframe, camera, BUSY, (small, "16MiB"), (keepframe.video, "1MiB"))
    keepframe.start().wait_ready()
    keepframe.wait_for("the first volume has footage", lambda: keepframe.volume_files(volume=small))
    keepframe.wait_for("the second one has two segments",
                       lambda: len(keepframe.volume_files(volume=keepframe.video)) >= 2)
    deleted = keepframe.ask_indexer("status")["result"]["deleted"]
    assert set(deleted.values()) == {0}
    outlook = keepframe.ask_indexer("status")["result"]["storage"]
    assert outlook["full_days"] is None and outlook["hours"] == 0, "nothing is known yet"
    volumes = volumes_of(keepframe)
    assert volumes[str(small)]["free_bytes"] >= 16 * 2**20, "min_free was touched"
    assert volumes[str(small)]["segments"] and volumes[str(keepframe.video)]["writable"]
    # A range over both is one file.
    rows = keepframe.sealed("busy")
    body = keepframe.download("busy", start=rows[0].start_us / 1e6, end=rows[-1].end_us / 1e6).body
    assert len(body) > sum(row.bytes for row in rows) * 0.9
    keepframe.stop()
    assert_rows_and_files_agree(keepframe, small, keepframe.video)


def test_a_volume_that_refuses_a_file_spills_it_at_once(lab):
    """No min_free: the file system itself says that it is full."""
    camera = lab.camera(YARD)
    small = lab.small_disk(4)
    keepframe = lab.keepframe()
    configure(keepframe, camera, YARD, (small, "0"), (keepframe.video, "1MiB"))
    keepframe.start().wait_ready()
    keepframe.wait_sealed("yard", 1)
    with open(small / "filler", "wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            pass
    keepframe.wait_for("the second volume takes over",
                       lambda: len(keepframe.volume_files(volume=keepframe.video)) >= 2)
    (small / "filler").unlink()
    known = len(keepframe.volume_files(volume=small))
    keepframe.wait_for("the first one has room again and is filled first",
                       lambda: len(keepframe.volume_files(volume=small)) > known)
    rows = keepframe.sealed("yard")
    assert [row.number for row in rows] == list(range(len(rows)))
    assert len({row.run for row in rows}) == 1
    keepframe.stop()
    assert_rows_and_files_agree(keepframe, small, keepframe.video)


def test_a_volume_that_goes_away_costs_nothing_and_is_noticed_when_it_is_back(lab):
    camera = lab.camera(YARD)
    keepframe = lab.keepframe()
    first = keepframe.folder / "first"
    configure(keepframe, camera, YARD, (first, "1MiB"), (keepframe.video, "1MiB"))
    keepframe.start().wait_ready()
    keepframe.wait_for("the first volume is used", lambda: keepframe.volume_files(volume=first))

    away = keepframe.folder / "away"
    first.rename(away)
    first.mkdir()
    keepframe.wait_for("there is an alarm", lambda: any(
        str(first) in reason for reason in keepframe.get("/healthz").json.get("reasons", [])))
    assert not volumes_of(keepframe)[str(first)]["writable"]
    keepframe.wait_for("the other one goes on",
                       lambda: len(keepframe.volume_files(volume=keepframe.video)) >= 2)
    assert list(first.iterdir()) == [], "something was written below the mount point"

    first.rmdir()
    away.rename(first)
    keepframe.wait_ready()
    known = len(keepframe.volume_files(volume=first))
    keepframe.wait_for("it is used again",
                       lambda: len(keepframe.volume_files(volume=first)) > known)
    rows = keepframe.sealed("yard")
    assert [row.number for row in rows] == list(range(len(rows))), "a segment is missing"
    keepframe.stop()
    assert_rows_and_files_agree(keepframe, first, keepframe.video)


def test_a_read_only_volume_is_named_and_the_others_go_on(lab):
    camera = lab.camera(YARD)
    small = lab.small_disk(16)
    keepframe = lab.keepframe()
    configure(keepframe, camera, YARD, (small, "0"), (keepframe.video, "1MiB"))
    keepframe.start().wait_ready()
    keepframe.wait_for("the first volume is used", lambda: keepframe.volume_files(volume=small))
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    keepframe.wait_for("the alarm says it", lambda: f"{small} is mounted read-only" in
                       keepframe.ask_indexer("status")["result"]["alarms"])
    keepframe.wait_for("the other one goes on",
                       lambda: keepframe.volume_files(volume=keepframe.video))
    keepframe.stop()
    assert_rows_and_files_agree(keepframe, small, keepframe.video)


def indexer_command(keepframe, *words):
    return subprocess.run(
        [keepframe.lab.build.program("keepframe-indexer"), *words, "-c", str(keepframe.config),
         "--data", str(keepframe.data)], capture_output=True, text=True, env=keepframe.lab.env(),
        timeout=60, cwd=keepframe.folder)


def test_a_new_volume_joins_by_a_command_that_says_what_is_wrong(lab):
    camera = lab.camera(YARD)
    keepframe = lab.keepframe()
    configure(keepframe, camera, YARD, (keepframe.video, "1MiB"))
    keepframe.start().wait_ready()
    keepframe.wait_sealed("yard", 1)
    keepframe.stop()
    new = keepframe.folder / "new"
    new.mkdir()
    configure(keepframe, camera, YARD, (new, "1MiB"), (keepframe.video, "1MiB"))
    keepframe.start()
    keepframe.wait_log("volume add", str(new))
    keepframe.wait_sealed("yard", 2)
    assert list(new.iterdir()) == []

    for path, word in ((keepframe.folder / "none", "not there"), (keepframe.config, "not a directory"),
                       (keepframe.cache / "yard", "cache"), (keepframe.data, "in one another"),
                       (keepframe.video / "yard", "in one another")):
        done = indexer_command(keepframe, "volume", "add", str(path))
        assert done.returncode == 1 and word in done.stderr, (path, done)
    assert indexer_command(keepframe, "volume", "remove", "x").returncode == 64

    done = indexer_command(keepframe, "volume", "add", "new")
    assert done.returncode == 0, done.stderr
    mark = (new / ".keepframe-volume").read_text().strip()
    assert mark in done.stdout
    keepframe.wait_for("it is used", lambda: keepframe.volume_files(volume=new))
    keepframe.wait_ready()
    again = indexer_command(keepframe, "volume", "add", str(new))
    assert again.returncode == 0 and mark in again.stdout
    keepframe.stop()
    assert_rows_and_files_agree(keepframe, new, keepframe.video)


def test_what_one_stream_may_take_is_kept_to_and_told(lab):
    """max_bytes: the oldest of that stream go, its neighbour keeps all, and a warning says why."""
    camera = lab.camera(Mount("small"), Mount("large"))
    keepframe = lab.keepframe()
    limit = 512 * 1024
    keepframe.configure(
        {"small": {"url": camera.url("small"), "retain": {"max_bytes": f"{limit}B"}},
         "large": {"url": camera.url("large")}}, recording={"segment": "2s"})
    keepframe.start().wait_ready()
    first = {name: keepframe.wait_sealed(name, 1)[0] for name in ("small", "large")}
    keepframe.wait_for("the oldest has gone", lambda: first["small"].id not in {
        row.id for row in keepframe.sealed("small")}, timeout=120)
    assert keepframe.log_lines(first["small"].id, "max_bytes")
    assert first["large"].id in {row.id for row in keepframe.sealed("large")}
    keepframe.wait_for("a warning names the stream", lambda: any(
        "small/main" in warning for warning in keepframe.ask_indexer("status")["result"]["warnings"]))
    assert keepframe.get("/healthz").status == 200
    largest = max(row.bytes for row in keepframe.sealed("small"))
    keepframe.wait_for("it takes no more than it may", lambda: sum(
        row.bytes for row in keepframe.sealed("small")) <= limit + 2 * largest)


@pytest.mark.parametrize("release", ["removed", "expired"])
def test_locked_footage_stays_until_the_lock_is_gone(lab, release):
    camera = lab.camera(YARD)
    keepframe = lab.keepframe()
    configure(keepframe, camera, YARD, (keepframe.video, "1MiB"), retain={"continuous": "4s"})
    keepframe.start().wait_ready()
    first = keepframe.wait_sealed("yard", 1)[0]
    times = keepframe.catalog("SELECT start_us, end_us FROM footage WHERE number = ?", first.number)
    start_us, end_us = times[0]
    lock = keepframe.ask_indexer(
        "lock_add", camera="yard", start=format_utc(start_us), end=format_utc(end_us), reason="evidence")["result"]["lock"]
    keepframe.wait_for("younger footage has gone", lambda: len(rows := keepframe.sealed("yard")) > 1 and
                       rows[0].id == first.id and rows[1].number > first.number + 1, timeout=120)
    locked = keepframe.ask_indexer("status")["result"]["locked"]
    assert locked["locks"] == 1 and locked["segments"] >= 1 and locked["bytes"] >= first.bytes
    if release == "removed":
        keepframe.ask_indexer("lock_remove", id=lock["id"])
    else:
        now = keepframe.sealed("yard")[-1].end_us
        keepframe.ask_indexer("lock_renew", id=lock["id"], expires=format_utc(now + 3_000_000))
    keepframe.wait_for("it has gone too", lambda: first.id not in {
        row.id for row in keepframe.sealed("yard")}, timeout=120)


def test_a_full_cache_gives_up_the_oldest_by_name_before_recording_stops(lab):
    camera = lab.camera(BUSY)
    keepframe = lab.keepframe()
    keepframe.cache = lab.small_disk(12)
    keepframe.configure(
        {"busy": {"url": camera.url("busy")}}, recording={"segment": "2s"},
        storage={"cache": str(keepframe.cache), "volumes": [{"path": str(keepframe.video)}]})
    keepframe.start().wait_ready()
    run = keepframe.wait_sealed("busy", 1)[0].run
    away = keepframe.folder / "away"
    keepframe.video.rename(away)
    given_up = keepframe.wait_for("footage is given up",
                                  lambda: keepframe.log_lines("is given up"), timeout=120)
    keepframe.wait_for("health says so", lambda: any("given up" in reason for reason in
                       keepframe.get("/healthz").json.get("reasons", [])))
    away.rename(keepframe.video)
    known = len(keepframe.sealed("busy"))
    keepframe.wait_for("what was left is filed, and what comes",
                       lambda: len(keepframe.sealed("busy")) >= known + 3)
    rows = keepframe.sealed("busy")
    assert {row.run for row in rows} == {run}, "the recorder was restarted"
    lines = keepframe.log_lines("is given up")
    named = {line.split("/main/")[1].split()[0] for line in lines}
    status = keepframe.ask_indexer("status")["result"]
    assert status["deleted"]["cache_full"] == len(lines) == len(named) >= len(given_up)
    numbers = {row.number for row in rows} | {int(name.split("-")[1]) for name in named}
    assert numbers == set(range(max(numbers) + 1)), "something is gone that was not named"
    # The oldest went: what was filed after the volume came back is younger than all of them.
    assert max(int(name.split("-")[1]) for name in named) < rows[-3].number
    keepframe.stop()
    assert_rows_and_files_agree(keepframe, keepframe.video)
