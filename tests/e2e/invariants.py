"""What holds of an archive while no program works on it, however its last life ended.

Judged from the bare files: by sqlite3 of Python, and by the tests' own reader of MP4. What a
segment's packets are, ffprobe has said once of the corpus (`tests/corpus/*.packets`)."""

import functools
import hashlib
import json
import os
import re
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import media

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
DATABASE_FILES = re.compile(r"(catalog\.db|frames-\d{4}-\d\d-\d\d\.db)(-wal|-shm)?|lock|retention-clock")
VOLUME_FILES = {".keepframe-volume", ".keepframe-ledger.jsonl"}


def below(folder):
    """Everything below a folder. What goes while it is looked at is not there."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place) / name for name in folders + files)


@dataclass(frozen=True)
class Original:
    """A segment as its recorder left it: a file of the corpus, whole or torn off."""

    corpus: str
    size: int | None = None

    @functools.cached_property
    def data(self):
        return (CORPUS / f"{self.corpus}.mp4").read_bytes()[:self.size]

    @functools.cached_property
    def hashes(self):
        """Of the packets that are whole in it, by track."""
        found = {"video": [], "audio": []}
        for line in (CORPUS / f"{self.corpus}.packets").read_text().splitlines():
            kind, _, _, size, offset, _ = line.split(",")
            packet = self.data[int(offset):int(offset) + int(size)]
            if len(packet) == int(size):
                found[kind].append(hashlib.md5(packet).hexdigest())
        return {kind: hashes for kind, hashes in found.items() if hashes}


@functools.lru_cache(1000)
def _hashes(content):
    movie = media.Movie(content)
    return {track.kind: [movie.hash_of(sample) for sample in track.samples]
            for track in movie.tracks if track.samples}


def _open(path, how="mode=ro"):
    connection = sqlite3.connect(f"file:{path}?{how}", uri=True)
    connection.execute("BEGIN")
    return connection


def dump(path, how="mode=ro"):
    """All tables of a database that tell of footage."""
    connection = _open(path, how)
    try:
        tables = [name for name, in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'mark'")]
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr)
                for table in tables}
    finally:
        connection.close()


def snapshot(archive):
    """Everything that another life must not change, by what it is."""
    found = {}
    for top in (archive.cache, *archive.volumes):
        for path in below(top):
            found[str(path)] = path.suffix == ".mp4" and (path.stat().st_ino, path.read_bytes())
    for path in [archive.data / "catalog.db", *archive.data.glob("frames-*.db")]:
        for table, rows in dump(path).items():
            found[f"{path.name}: {table}"] = rows
    return found


def assert_same(before, after):
    """Fails where two snapshots differ, and says in what."""
    changed = [name for name in before.keys() | after.keys()
               if name not in before or name not in after or before[name] != after[name]]
    assert not changed, f"another restart has changed {sorted(changed)}"


def key_of(camera, stream, start_us, offset_s):
    """The name that a segment has in its volume."""
    utc = datetime.fromtimestamp(start_us // 1_000_000, timezone.utc)
    local = utc + timedelta(seconds=offset_s)
    minutes = abs(offset_s) // 60
    zone = f"{'-' if offset_s < 0 else '+'}{minutes // 60:02}{minutes % 60:02}"
    return (f"{camera}/{stream}/{local:%Y-%m-%d}/{local:%Y-%m-%d_%H-%M-%S}"
            f".{start_us // 1000 % 1000:03}{zone}.mp4")


ROWS = """
    SELECT camera || '/' || stream.stream || '/' || run || '-' || printf('%06d', first_number + nth),
        volume.path, camera, stream.stream, segment.start_us, utc_offset_s, size_bytes, key,
        segment.stream_id, run, first_number + nth
    FROM segment JOIN stretch ON stretch.id = stretch_id
    JOIN stream ON stream.id = segment.stream_id JOIN volume ON volume.id = volume_id
    LEFT JOIN segment_key ON segment_key.stream_id = segment.stream_id
        AND segment_key.start_us = segment.start_us"""

MISSING = """
    SELECT camera || '/' || stream.stream || '/' || run || '-' || printf('%06d', number)
    FROM missing JOIN stream ON stream.id = stream_id ORDER BY 1"""

SUMS = """
    SELECT stream_id, count(*), sum(size_bytes), min(start_us), max(start_us + duration_us)
    FROM segment GROUP BY 1 ORDER BY 1"""
KEPT_SUMS = """
    SELECT stream_id, segments, bytes, first_us, last_us FROM stream_total
    WHERE segments > 0 ORDER BY 1"""


def check(archive, originals, missing=()):
    """Fails unless exactly these segments ({identity: Original}) are filed, each playing back what
    its recorder wrote, and nothing else is anywhere; these are known to have lost their file."""
    rows = _check_catalog(archive.data, sorted(missing))
    assert rows.keys() == originals.keys(), (
        f"rows are missing: {sorted(originals.keys() - rows.keys())}, "
        f"unexpected: {sorted(rows.keys() - originals.keys())}")
    expected = {str(path): size for path, size in rows.values()}
    files = {str(path): path.stat().st_size for volume in archive.volumes
             for path in below(volume) if path.suffix == ".mp4"}
    assert files == expected, "files and rows are not the same"
    for identity, original in originals.items():
        _check_file(rows[identity][0], identity, original)
    _check_leftovers(archive)


def check_rows(archive):
    """Fails where a row of the catalog has no whole, sealed file; of a catalog that may be new."""
    if not (archive.data / "catalog.db").exists():
        return
    # Written to as well: an unfinished transaction of the very first start is to be rolled back.
    connection = _open(archive.data / "catalog.db", "mode=rw")
    try:
        made = connection.execute("PRAGMA user_version").fetchone()[0] > 0
        rows = connection.execute(ROWS).fetchall() if made else []
    finally:
        connection.close()
    for row in rows:
        path = Path(row[1]) / (row[7] or key_of(*row[2:6]))
        assert path.exists(), f"{row[0]} has a row and no file"
        content = path.read_bytes()
        assert len(content) == row[6] and media.identity_of(path) == row[0], path
        assert [box.type for box in media.boxes_in(content)] == ["ftyp", "mdat", "moov"], path


def _check_catalog(data, missing):
    """A sound catalog, and {identity: (path, bytes)} of its rows."""
    connection = _open(data / "catalog.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("SELECT * FROM garbage").fetchall() == []
        assert [row[0] for row in connection.execute(MISSING)] == missing
        rows = connection.execute(ROWS).fetchall()
        sums = connection.execute(SUMS).fetchall()
        assert sums == connection.execute(KEPT_SUMS).fetchall(), "sums of streams"
        covered = connection.execute("SELECT total(covered_us), total(bytes) FROM rollup").fetchone()
        assert covered == (_covered_us(connection), sum(row[6] for row in rows)), "hours"
    finally:
        connection.close()
    _check_frames(data, {row[8:]: row[4] for row in rows})
    assert len({row[0] for row in rows}) == len(rows), "a segment has two rows"
    return {row[0]: (Path(row[1]) / (row[7] or key_of(*row[2:6])), row[6]) for row in rows}


def _covered_us(connection):
    """How much time there is footage of: what several segments cover counts once."""
    covered, reached = 0, {}
    for stream, start_us, duration_us in connection.execute(
            "SELECT stream_id, start_us, duration_us FROM segment ORDER BY 1, 2"):
        end_us = start_us + duration_us
        begin_us = max(start_us, reached.get(stream, start_us))
        covered += max(0, end_us - begin_us)
        reached[stream] = max(end_us, begin_us)
    return covered


def _check_frames(data, rows):
    """Each row has its sample table, in the file of its day. Those of deleted footage go with the
    day."""
    expected = {(datetime.fromtimestamp(start_us // 1_000_000, timezone.utc).strftime("%Y-%m-%d"), *row)
                for row, start_us in rows.items()}
    found = []
    for path in data.glob("frames-*.db"):
        connection = _open(path)
        try:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found += [(path.name[7:17], *row) for row in connection.execute(
                "SELECT stream_id, run, number FROM frames")]
        finally:
            connection.close()
    assert len(set(found)) == len(found)
    assert expected <= set(found), "sample tables are missing"


def _check_file(path, identity, original):
    content = path.read_bytes()
    boxes = [box.type for box in media.boxes_in(content)]
    assert boxes == ["ftyp", "mdat", "moov"], f"{path}: {boxes}"
    assert media.identity_of(path) == identity, path
    assert _hashes(content) == original.hashes, f"{path}: packets are not the recorder's"


def _check_leftovers(archive):
    left = [str(path) for path in below(archive.cache) if not path.is_dir()]
    left += [path.name for path in archive.data.iterdir() if not path.is_dir()
             and not DATABASE_FILES.fullmatch(path.name)]
    left += [str(path) for path in archive.data.glob("rebuild*")]
    for volume in archive.volumes:
        left += [str(path) for path in below(volume) if not path.is_dir()
                 and path.suffix != ".mp4" and path.name not in VOLUME_FILES]
        left += [place for place, folders, files in os.walk(volume)
                 if place != str(volume) and not folders and not files]
    assert not left, f"nobody accounts for {left}"


def ledger(volume):
    """The objects of a volume's ledger, the torn last one left out."""
    objects = []
    for line in (volume / ".keepframe-ledger.jsonl").read_text(errors="replace").splitlines(True):
        try:
            objects.append(json.loads(line))
        except ValueError:
            assert not line.endswith("\n"), f"a line in the middle of the ledger is torn: {line}"
    return objects
