"""`keepframe-indexer reindex`: a catalog that was lost, or is damaged, is made anew from the bare
volumes, row by row what it was."""

import shutil

import pytest

import media
from archive import OUTAGES, RUNS, fill, footage_of, forget_catalog, indexer, put_run, wait_filed
from times import format_utc


def reindex(keepframe, env=None):
    done = indexer(keepframe, "reindex", env=env)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_lost_catalog_comes_back_row_by_row(archive):
    before = footage_of(archive)
    assert len(before["segments"]) == len(before["frames"]) == 10 and before["sums"]
    forget_catalog(archive)
    assert "10 segments" in reindex(archive)
    assert footage_of(archive) == before
    # And it is one that the programs work with.
    archive.start().wait_ready()
    rows = archive.sealed("yard")
    answer = archive.download("yard", start=format_utc(rows[0].start_us),
                              end=format_utc(rows[1].end_us))
    assert media.Movie(answer.expect(200).body).track("video")
    fill(archive, "new")
    assert len(archive.sealed("new")) == 2


def test_a_damaged_catalog_is_replaced_and_kept(archive):
    before = footage_of(archive)
    damaged = b"this is no database" * 1000
    (archive.data / "catalog.db").write_bytes(damaged)
    reindex(archive)
    assert footage_of(archive) == before
    [kept] = archive.data.glob("before-reindex-*")
    assert (kept / "catalog.db").read_bytes() == damaged
    assert len(list(kept.glob("frames-*.db"))) == len(list(archive.data.glob("frames-*.db")))
    assert not list(archive.data.glob("rebuild*"))


def test_it_is_refused_while_an_indexer_runs(archive):
    archive.start().wait_ready()
    done = indexer(archive, "reindex")
    assert done.returncode == 1 and "another indexer" in done.stderr
    assert len(archive.sealed("yard")) == 6


def test_an_unmounted_volume_is_no_empty_one(archive):
    before = footage_of(archive)
    mark = archive.video / ".keepframe-volume"
    away = mark.rename(archive.folder / "mark")
    done = indexer(archive, "reindex")
    assert done.returncode == 1 and "mounted" in done.stderr
    away.rename(mark)
    assert footage_of(archive) == before


def test_several_volumes_come_back_each_with_its_own(archive):
    new = archive.folder / "new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    archive.configure({}, storage={"volumes": [{"path": str(path), "min_free": "1MiB"}
                                               for path in (new, archive.video)]})
    archive.start()
    archive.wait_log("volume add", str(new))
    assert indexer(archive, "volume", "add", new).returncode == 0
    archive.wait_ready()
    put_run(archive, "yard", "h264", 2_000_000_000_000)  # the other one has footage of it too
    wait_filed(archive, "yard")
    archive.stop()
    before = footage_of(archive)
    places = {path for (path,) in archive.catalog("SELECT DISTINCT volume FROM footage")}
    assert places == {str(new), str(archive.video)} and len(before["segments"]) == 12
    shutil.copy(archive.volume_files(volume=new)[0],
                archive.volume_files("yard")[0].with_name("twin.mp4"))

    # One that is away is not an empty one, and nothing is changed.
    away = new.rename(archive.folder / "away")
    done = indexer(archive, "reindex")
    assert done.returncode == 1 and str(new) in done.stderr and "mounted" in done.stderr
    new.mkdir()
    assert indexer(archive, "reindex").returncode == 1
    new.rmdir()
    away.rename(new)
    assert footage_of(archive) == before and not list(archive.data.glob("before-reindex-*"))

    forget_catalog(archive)
    assert "12 segments, 0 of them damaged; 1 further copies" in reindex(archive)
    assert footage_of(archive) == before


def test_copies_strangers_and_damage_are_told_apart(archive):
    before = footage_of(archive)
    first, second, third, *_ = archive.volume_files("yard")
    shutil.copy(first, first.with_name(first.stem + "_copy.mp4"))
    (first.parent / "holiday.mp4").write_bytes(b"not ours" * 1000)
    (first.parent / "notes.txt").write_text("not ours")
    data = bytearray(second.read_bytes())
    moovs = [box for box in media.boxes_in(data) if box.type == "moov"]
    data[moovs[-1].offset + 30] ^= 0xFF  # a time in the trailing moov
    second.write_bytes(data)
    third.write_bytes(third.read_bytes()[:1000])
    forget_catalog(archive)
    said = reindex(archive)
    assert "9 segments, 1 of them damaged; 1 further copies and 3 other files" in said
    for name in ("_copy.mp4", "holiday.mp4", third.name):
        assert name in said
    lost = media.identity_of(third)
    assert lost is None
    after = footage_of(archive)
    keys = {row[:4] for row in after["segments"]}
    gone = [row for row in before["segments"] if row[:4] not in keys]
    assert len(gone) == 1
    assert after["segments"] == [row for row in before["segments"] if row not in gone]


EVENTS = "SELECT hex(id), camera, stream, start_us, end_us, posted_end_us, label, data FROM event"
LOCKS = "SELECT hex(id), camera, stream, start_us, end_us, reason, expires_us FROM lock"


@pytest.mark.parametrize("how", ["reindex", "start"])
def test_what_the_files_do_not_say_comes_from_the_ledger(archive, how):
    ledger = archive.video / ".keepframe-ledger.jsonl"
    archive.start().wait_ready()
    first = archive.sealed("yard")[0]

    def ask(command, **arguments):
        answer = archive.ask_indexer(command, **arguments)
        assert answer["ok"], answer
        return answer["result"]

    span = {"start": format_utc(first.start_us), "end": format_utc(first.end_us)}
    ask("event_add", camera="yard", label="ring \u00fc", data={"a": [1, None, "\n\"\u00fc"]}, **span)
    open_event = ask("event_add", camera="yard", start=span["start"], label="x")["event"]["id"]
    ask("event_end", id=open_event, end=span["end"])
    gone = ask("event_add", camera="door", stream="main", label="gone", **span)["event"]["id"]
    ask("event_remove", id=gone)
    ask("lock_add", camera="door", stream="main", reason="evidence", **span)
    archive.wait_for("the ledger has the lock", lambda: "evidence" in ledger.read_text())
    archive.stop()
    tables = {query: archive.catalog(query) for query in (RUNS, OUTAGES, EVENTS, LOCKS)}
    # Of the cameras, none is configured: each outage that went on has ended with a boundary.
    assert [len(rows) for rows in tables.values()] == [7, 4, 2, 1]
    before = footage_of(archive)
    with open(ledger, "a", encoding="utf-8") as file:
        file.write('{"kind":"event","id":')  # torn
    forget_catalog(archive)
    if how == "reindex":
        reindex(archive)
    else:
        archive.start().wait_ready()
        archive.wait_for("all is indexed", lambda: archive.ask_indexer("status")
                         ["result"]["reconcile"]["indexed"] == 10)
        archive.stop()
    for query, rows in tables.items():
        assert archive.catalog(query) == rows
    assert footage_of(archive) == before


def test_what_is_in_the_cache_waits_for_the_indexer(archive):
    run = 2_000_000_000_000
    identities = put_run(archive, "late", "h264", run)
    forget_catalog(archive)
    assert "10 segments" in reindex(archive)
    archive.start().wait_ready()
    wait_filed(archive, "late")
    assert [row.id for row in archive.sealed("late")] == identities


@pytest.mark.parametrize("stage", ["rebuild", "rebuild.whole", "rebuild.enter"])
def test_an_interrupted_exchange_is_completed(archive, stage):
    """The three directories are what a crash leaves; the next start goes on from there."""
    before = footage_of(archive)
    place = archive.data / stage
    place.mkdir()
    for path in [*archive.data.glob("catalog.db*"), *archive.data.glob("frames-*.db*")]:
        shutil.copy(path, place / path.name)
        if stage == "rebuild":
            (place / path.name).write_bytes(b"half")
        if stage == "rebuild.enter" or path.name == "catalog.db-wal":
            path.unlink()
    if stage == "rebuild.whole":
        (archive.data / "catalog.db").write_bytes(b"old and damaged")
    archive.start().wait_ready()
    assert len(archive.sealed("yard")) == 6
    archive.stop()
    assert footage_of(archive) == before
    assert not list(archive.data.glob("rebuild*"))
    kept = list(archive.data.glob("before-reindex-*"))
    assert len(kept) == (1 if stage == "rebuild.whole" else 0)
