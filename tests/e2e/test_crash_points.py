"""The indexer ends at every point of its file I/O, scenario by scenario. Restarted, it comes to the
same end as if nothing had happened: all that was whole is filed once and plays back what its
recorder wrote, rows and files agree, nothing is left over, and another restart changes nothing.

In the short form the longest scenarios leave some points out that are like their neighbours; `--long` runs
each of them. How many points there were stands in the summary."""

import shutil
import sqlite3
import time

import pytest

import invariants
from crash import BEYOND, Campaign
from invariants import Original
from lab import Lab
from times import format_utc

WHOLE = Original("h264-b-aac-000000")
NEXT = Original("h264-b-aac-000001")
TORN = Original("h265-000001", 9001)  # in the middle of its last fragment


def lately():
    """A span of time that footage of now is touched by."""
    now_us = time.time_ns() // 1000
    return {"start": format_utc(now_us - 60_000_000), "end": format_utc(now_us)}


@pytest.fixture(scope="module")
def places(build):
    lab = Lab(build)
    try:
        yield Campaign(lab)
    finally:
        lab.close()


@pytest.fixture
def campaign(places, chance, is_long):
    places.chance, places.is_long = chance, is_long
    return places


class Scenario:
    """What a life of the indexer has to do on a copy of the base, and what is true when it, or one
    that comes after it, has done it."""

    call, pattern = "any", "/data/"
    is_short = False  # so that the short form has each of its points too
    is_torn = False  # whether it has those in the middle of a write
    originals = {}  # what is filed in the end
    sections = {}

    def __init__(self, campaign):
        self.campaign = campaign
        self.base = self.place("base")
        self.make_base()

    def place(self, name):
        return self.campaign.archive(f"{type(self).__name__}-{name}", **self.sections)

    def make_base(self):
        """One camera's footage is there already."""
        self.filed = self.base.put_run("door", [WHOLE], 1_790_000_000_000)
        assert not self.base.live(self.base.is_cache_empty)

    def prepare(self, archive):
        archive.take(self.base)
        self.originals = {**self.filed, **self.put(archive)}

    def put(self, archive):
        """Adds what is to be done; returns the segments that are new with it."""
        return {}

    def is_done(self, archive):
        return archive.is_cache_empty()

    def first_life(self, archive, point, moment):
        return archive.live(lambda: self.is_done(archive), point, moment)

    def second_life(self, archive, number):
        assert not archive.live(lambda: self.is_done(archive))

    def crashed(self, archive):
        """What is true before anybody has mended anything: each row has its file."""
        invariants.check_rows(archive)

    def judge(self, archive):
        invariants.check(archive, self.originals)

    # --- For the campaign

    def point(self, archive, number, moment):
        self.prepare(archive)
        call = self.call if moment == "before" else "write,pwrite"
        died = self.first_life(archive, (call, self.pattern, number), moment)
        if number == BEYOND:
            return died
        if number % 2:  # so that it is the indexer, too, that recovers the catalog's log
            self.crashed(archive)
        if number % 4 == 0:  # the recovery ends early as well
            self.first_life(archive, (call, self.pattern, 1 + number * 37 % 60), moment)
        self.second_life(archive, number)
        self.judge(archive)
        archive.look_again()
        return died


class FirstStart(Scenario):
    """A new catalog and a new volume, and the first footage."""

    def make_base(self):
        self.filed = {}

    def prepare(self, archive):
        shutil.rmtree(archive.data, ignore_errors=True)
        self.originals = archive.put_run("door", [WHOLE], 1_790_000_000_000)


class Ingest(Scenario):
    """A run of two segments comes from the cache into volume and catalog, with checksums."""

    is_short = True
    sections = {"recording": {"hash": "sha256"}}

    def put(self, archive):
        return archive.put_run("yard", [WHOLE, NEXT], 1_790_000_100_000)


class SealWhole(Scenario):
    pattern = "/yard/"
    is_short = True
    is_torn = True

    def put(self, archive):
        return archive.put_run("yard", [NEXT], 1_790_000_100_000)


class SealTorn(Scenario):
    pattern = "/yard/"
    is_short = True
    is_torn = True

    def put(self, archive):
        return archive.put_run("yard", [TORN], 1_790_000_100_000)


class Copy(Scenario):
    """Cache and volume are different file systems."""

    pattern = "/elsewhere/"
    is_short = True
    is_torn = True

    def place(self, name):
        archive = super().place(name)
        archive.volumes = [self.campaign.lab.folder / "elsewhere" / archive.folder.name]
        archive.configure()
        return archive

    def put(self, archive):
        return archive.put_run("yard", [WHOLE, TORN], 1_790_000_100_000)


class Odd(Scenario):
    """A file that is no MP4, which is put into quarantine, and one without a byte of media."""

    def put(self, archive):
        archive.put_run("yard", [Original("h264-000000", 0)], 1_790_000_100_000)
        archive.put_run("yard", [Original("h264-000000", 900)], 1_790_000_200_000)
        path = archive.cache / "yard" / "main" / "1790000300000-000000.mp4"
        path.write_bytes(b"\0\0\0\x20ftypisom" + bytes(range(256)) * 20)
        archive.put_run("yard", [], 1_790_000_300_000)
        return {}

    def judge(self, archive):
        quarantine = archive.volumes[0] / ".quarantine"
        names = sorted(path.name for path in quarantine.iterdir())
        assert [name.rsplit(".mp4", 1) for name in names] == [
            ["yard.main.1790000300000-000000", ""], ["yard.main.1790000300000-000000", ".reason"]], names
        assert "reason: " in (quarantine / names[1]).read_text()
        shutil.move(quarantine, archive.folder / "quarantine")
        super().judge(archive)
        shutil.move(archive.folder / "quarantine", quarantine)


class Retention(Scenario):
    """Of six segments the oldest three have to go: `max_bytes` holds no more."""

    is_short = True
    KEEP = 3

    def make_base(self):
        self.filed = {}
        for run in range(3):
            self.filed |= self.base.put_run("yard", [Original("h264-000000"), Original("h264-000001")],
                                            1_790_000_000_000 + run * 60_000)
        assert not self.base.live(self.base.is_cache_empty)
        rows = self.base.catalog("SELECT printf('yard/main/%d-%06d', run, number), size_bytes"
                                 " FROM footage ORDER BY start_us DESC")
        limit = sum(size for _, size in rows[:self.KEEP]) + 100
        self.sections = {"recording": {"retain": {"max_bytes": f"{limit}B"}}}
        self.originals = {identity: self.filed[identity] for identity, _ in rows[:self.KEEP]}

    def prepare(self, archive):
        archive.take(self.base)

    def is_done(self, archive):
        files = list(archive.volumes[0].rglob("*.mp4"))
        return len(files) == len(self.originals) and not archive.catalog("SELECT * FROM garbage")

    def second_life(self, archive, number):
        super().second_life(archive, number)
        super().second_life(archive, number)  # its start forgets what is told of deleted footage


class RetentionOfAll(Retention):
    """All footage is too old: directories and sample tables go with it."""

    KEEP = 0
    is_short = False

    def make_base(self):
        super().make_base()
        self.sections = {"recording": {"retain": {"continuous": "1s"}}}
        time.sleep(1.1)


class Reconcile(Scenario):
    """Two files without a row are indexed, one row without its file is missing footage."""

    def make_base(self):
        super().make_base()
        gone = self.base.put_run("yard", [NEXT], 1_790_000_100_000)
        assert not self.base.live(self.base.is_cache_empty)
        before = self.place("before")
        before.take(self.base)
        found = self.base.put_run("shed", [WHOLE, TORN], 1_790_000_200_000)
        assert not self.base.live(self.base.is_cache_empty)
        shutil.rmtree(self.base.volumes[0] / "yard")
        for path in self.base.data.glob("*.db*"):
            path.unlink()
        for path in before.data.glob("*.db*"):
            shutil.copy(path, self.base.data)
        self.gone = list(gone)
        self.filed |= found

    def crashed(self, archive):
        pass  # its one row without a file is what is to be found

    def is_done(self, archive):
        return archive.catalog("SELECT (SELECT count(*) FROM missing), (SELECT count(*) FROM segment)"
                               ) == [(1, len(self.filed))]

    def judge(self, archive):
        invariants.check(archive, self.originals, missing=self.gone)


class Reindex(Scenario):
    """`keepframe-indexer reindex` makes the catalog anew; the next life is another reindex, or the
    ordinary one."""

    def make_base(self):
        super().make_base()
        self.filed |= self.base.put_run("yard", [WHOLE, TORN], 1_790_000_200_000)
        process = self.base.start()
        try:
            self.base.wait(process, lambda: b"indexing" in self.base.log.read_bytes())
            self.base.ask("event_add", camera="door", label="ring", **lately())
        finally:
            self.base.stop(process)
        assert not self.base.live(self.base.is_cache_empty)
        self.told = self.told_by(self.base)

    @staticmethod
    def told_by(archive):
        return archive.catalog("SELECT hex(id), start_us, label FROM event"), archive.catalog(
            "SELECT camera, run, start_us, end_us, reason FROM run JOIN stream ON stream.id = stream_id"
            " ORDER BY 1, 2")

    def first_life(self, archive, point, moment):
        return archive.ended(archive.start(archive.words("reindex"), point, moment), point)

    def second_life(self, archive, number):
        if number % 2:
            archive.ended(archive.start(archive.words("reindex")))
        super().second_life(archive, number)

    def judge(self, archive):
        assert self.told_by(archive) == self.told
        super().judge(archive)


class ReindexOfNothing(Reindex):
    """The same when the catalog is lost: the ordinary life makes a new one too."""

    def prepare(self, archive):
        super().prepare(archive)
        for path in archive.data.glob("*.db*"):
            path.unlink()

    def is_done(self, archive):
        return archive.catalog("SELECT count(*) FROM segment") == [(len(self.filed),)]


class Ledger(Scenario):
    """The ledger is written anew at the start, and has an event appended."""

    pattern = "/data/video"
    is_short = True
    is_torn = True

    def make_base(self):
        super().make_base()
        self.tell(self.base, "first", None)

    @staticmethod
    def tell(archive, label, point, moment="before"):
        """A life with an event. Returns whether it died, and whether it had said yes."""
        path = archive.volumes[0] / ".keepframe-ledger.jsonl"
        old = path.stat().st_ino
        process = archive.start(point=point, moment=moment)
        said_yes = False
        try:
            archive.wait(process, lambda: path.stat().st_ino != old)
            archive.ask("event_add", camera="door", label=label, **lately())
            said_yes = True
            archive.wait(process, lambda: Ledger.has(archive, label))
        except (OSError, ValueError):
            assert point, "it did not answer"
        return archive.stop(process, point), said_yes

    @staticmethod
    def labels(archive):
        return [entry["label"] for entry in invariants.ledger(archive.volumes[0])
                if entry["kind"] == "event"]

    @staticmethod
    def has(archive, label):
        return label in Ledger.labels(archive)

    def first_life(self, archive, point, moment):
        died, archive.said_yes = self.tell(archive, "second", point, moment)
        return died

    def crashed(self, archive):
        super().crashed(archive)
        assert self.has(archive, "first")
        if not archive.said_yes:
            return
        assert ("second",) in archive.catalog("SELECT label FROM event")

    def is_done(self, archive):
        return not list(archive.volumes[0].glob("*.tmp")) and sorted(
            self.labels(archive)) == sorted(
                label for label, in archive.catalog("SELECT label FROM event"))

    def judge(self, archive):
        super().judge(archive)
        assert self.is_done(archive)


class LedgerAlone(Ledger):
    """The same when the catalog is lost with the crash: what stands in the ledger comes back."""

    def second_life(self, archive, number):
        archive.kept = self.labels(archive)
        for path in archive.data.glob("*.db*"):
            path.unlink()
        super().second_life(archive, number)

    def is_done(self, archive):
        return (archive.catalog("SELECT count(*) FROM segment") == [(len(self.filed),)]
                and super().is_done(archive))

    def judge(self, archive):
        super().judge(archive)
        assert sorted(self.labels(archive)) == sorted(set(archive.kept))


class Migration(Scenario):
    """The catalog is brought to the next version, with a copy of what it was."""

    is_short = True
    is_torn = True

    def make_base(self):
        super().make_base()
        self.filed |= self.base.put_run("yard", [WHOLE, NEXT], 1_790_000_100_000)
        assert not self.base.live(self.base.is_cache_empty)

    def prepare(self, archive):
        super().prepare(archive)
        archive.before = invariants.dump(archive.data / "catalog.db")

    def migrate(self, archive, point=None, moment="before"):
        command = [archive.lab.build.tool("migrate"), str(archive.data)]
        return archive.ended(archive.start(command, point, moment), point)

    def first_life(self, archive, point, moment):
        return self.migrate(archive, point, moment)

    @staticmethod
    def version(path, how="mode=ro"):
        connection = sqlite3.connect(f"file:{path}?{how}", uri=True)
        try:
            return connection.execute("PRAGMA user_version").fetchone()[0]
        finally:
            connection.close()

    def second_life(self, archive, number):
        self.migrate(archive)

    def point(self, archive, number, moment):
        self.prepare(archive)
        call = self.call if moment == "before" else "write,pwrite"
        died = self.first_life(archive, (call, self.pattern, number), moment)
        if number == BEYOND:
            return died
        path, copy = archive.data / "catalog.db", archive.data / "catalog.db.v1"
        if number % 2:  # what looks first, this or the migration, has to recover the log
            assert self.version(path) == 1 or copy.exists()
        self.migrate(archive)
        self.migrate(archive)  # changes nothing
        assert (self.version(path), self.version(copy, "immutable=1")) == (2, 1)
        assert invariants.dump(copy, "immutable=1") == archive.before
        after = invariants.dump(path)
        assert sorted(after.pop("later")) == sorted(
            (row[0], row[2]) for row in archive.before["stream_total"])
        assert all(row[-1] == row[5] // 7 for row in after["segment"])
        after["segment"] = [row[:-1] for row in after["segment"]]
        assert after == archive.before
        left = {path.name for path in archive.data.glob("catalog.db.*")}
        assert left == {"catalog.db.v1"}, left
        return died


@pytest.mark.parametrize("scenario", [
    FirstStart, Ingest, SealWhole, SealTorn, Copy, Odd, Retention, RetentionOfAll, Reconcile, Reindex,
    ReindexOfNothing, Ledger, LedgerAlone, Migration])
def test_it_dies_at_every_point(campaign, scenario, tell):
    place = scenario(campaign)
    tell(campaign.run(place, "before"))
    if scenario.is_torn or campaign.is_long:
        tell(campaign.run(place, "half"))
