"""`keepframe-indexer verify` beside a running indexer: sound footage is called sound, damage is
named with its moments, and a sealed segment is given back as the recorder wrote it."""

import hashlib
import re

import pytest

import media
from archive import CORPUS, fill, frames_of, indexer
from lab import Lab
from times import parse_utc

LINE = re.compile(r"(\S+Z) (\S+Z) (\S+): (?:(\d+) (video|audio) samples: )?(.*) \((.*)\)")


@pytest.fixture(scope="module")
def footage(build):
    lab = Lab(build)
    try:
        keepframe = lab.keepframe().configure({})
        keepframe.start().wait_ready()
        fill(keepframe, runs=2)
        fill(keepframe, "door", "h265")
        yield keepframe
    finally:
        lab.close()


def damages(keepframe, *words):
    """What verify says: (start, end, identity, samples, kind, what, path) of each line."""
    done = indexer(keepframe, "verify", *words)
    found = []
    for line in done.stdout.splitlines():
        match = LINE.fullmatch(line)
        assert match, f"a line that is no damage: {line!r}"
        start, end, identity, samples, kind, what, path = match.groups()
        found.append((parse_utc(start), parse_utc(end), identity, int(samples or 0), kind, what,
                      path))
    assert done.returncode == (1 if found else 0), done.stderr
    return found


class Damaged:
    """A sealed file's bytes, changed for a while."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.bytes = self.path.read_bytes()
        return self

    def flip(self, offset, mask=0x80):
        data = bytearray(self.path.read_bytes())
        data[offset] ^= mask
        self.path.write_bytes(data)

    def __exit__(self, *_):
        self.path.write_bytes(self.bytes)


def span_of(row, movie, samples):
    """When these samples are shown: the file's first picture is at the segment's start."""
    track = movie.track("video")
    first = track.in_order()[0].pts
    shown = [row.start_us + (sample.pts - first) * 1_000_000 // track.timescale
             for sample in samples]
    last = max(samples, key=lambda sample: sample.pts)
    return min(shown), max(shown) + last.duration * 1_000_000 // track.timescale


def test_sound_footage_is_sound(footage):
    assert damages(footage) == []
    assert damages(footage, "yard") == []
    done = indexer(footage, "verify", "door/main")
    assert done.returncode == 0 and "2 segments" in done.stderr


def test_what_is_not_there_is_no_success(footage):
    done = indexer(footage, "verify", "nobody")
    assert done.returncode == 1 and "nobody" in done.stderr
    assert indexer(footage, "verify", "yard", "--unseal", "x", "-o", "y").returncode == 64
    assert indexer(footage, "verify", "--unseal", "x").returncode == 64


@pytest.mark.parametrize("camera, corpus", [("yard", "h264-b-aac"), ("door", "h265")])
def test_unsealed_is_what_the_recorder_wrote(footage, camera, corpus):
    for row in footage.sealed(camera):
        output = footage.folder / "unsealed.mp4"
        done = indexer(footage, "verify", "--unseal", row.id, "-o", output)
        assert done.returncode == 0, done.stderr
        assert output.read_bytes() == (CORPUS / f"{corpus}-{row.number:06}.mp4").read_bytes()
        again = indexer(footage, "verify", "--unseal", row.id, "-o", output)
        assert again.returncode == 1 and "exists" in again.stderr
        output.unlink()


@pytest.mark.parametrize("camera", ["yard", "door"])
def test_a_flipped_byte_is_named_by_its_second(footage, camera):
    row = footage.sealed(camera)[1]
    path = footage.segment_file(row)
    movie = media.Movie(path)
    sample = movie.track("video").samples[7]
    with Damaged(path) as damaged:
        damaged.flip(sample.offset)  # the length of its first unit
        [found] = damages(footage)
    start_us, end_us, identity, samples, kind, _, named = found
    wanted = span_of(row, movie, [sample])
    assert abs(start_us - wanted[0]) <= 1 and abs(end_us - wanted[1]) <= 1
    assert (identity, samples, kind, named) == (row.id, 1, "video", str(path))
    assert damages(footage) == []


def test_a_cut_file_lacks_its_last_seconds(footage):
    row = footage.sealed("yard")[0]
    path = footage.segment_file(row)
    movie = media.Movie(path)
    lost = movie.track("video").samples[-10:]
    with Damaged(path):
        with open(path, "r+b") as file:
            file.truncate(lost[0].offset + 5)
        found = damages(footage, "yard")
    [video] = [one for one in found if one[4] == "video"]
    wanted = span_of(row, movie, lost)
    assert video[3] == 10 and "cut off" in video[5]
    assert abs(video[0] - wanted[0]) <= 1 and abs(video[1] - wanted[1]) <= 1
    assert {one[2] for one in found} == {row.id}


def test_a_broken_fragment_header_is_named(footage):
    row = footage.sealed("yard")[0]
    path = footage.segment_file(row)
    data = (CORPUS / "h264-b-aac-000000.mp4").read_bytes()
    moofs = [box for box in media.boxes_in(data) if box.type == "moof"]
    assert len(moofs) >= 2
    with Damaged(path) as damaged:
        damaged.flip(moofs[1].offset + 4, 0xFF)  # "moof" no more
        found = damages(footage)
    assert found and {one[2] for one in found} == {row.id}
    assert all(row.start_us < one[0] <= one[1] <= row.end_us + 1 for one in found if one[3])
    assert any("fragments do not describe" in one[5] for one in found)


def test_a_damaged_sample_table_is_told_apart(footage):
    row = footage.sealed("door")[0]
    path = footage.segment_file(row)
    moov = [box for box in media.top_boxes(path) if box.type == "moov"][-1]
    with Damaged(path) as damaged:
        damaged.flip(moov.offset + 30, 0xFF)  # a time of the mvhd
        [found] = damages(footage)
    assert found[:3] == (row.start_us, row.end_us, row.id) and "sample table" in found[5]


def test_a_missing_file_is_damage(footage):
    row = footage.sealed("yard")[2]
    path = footage.segment_file(row)
    away = path.with_suffix(".away")
    path.rename(away)
    try:
        [found] = damages(footage)
    finally:
        away.rename(path)
    assert found[:3] == (row.start_us, row.end_us, row.id) and "missing" in found[5]


def test_a_hash_sees_what_the_structure_does_not(lab):
    keepframe = lab.keepframe().configure({}, recording={"segment": "5s", "hash": "sha256"})
    keepframe.start().wait_ready()
    fill(keepframe)
    rows = keepframe.sealed("yard")
    assert [row[4] for row in frames_of(keepframe)] == [
        hashlib.sha256(keepframe.segment_file(row).read_bytes()).digest() for row in rows]
    assert damages(keepframe) == []
    path = keepframe.segment_file(rows[0])
    sample = media.Movie(path).track("video").samples[3]
    with Damaged(path) as damaged:
        damaged.flip(sample.offset + sample.size - 1, 1)
        [found] = damages(keepframe)
    assert found[:3] == (rows[0].start_us, rows[0].end_us, rows[0].id) and "SHA-256" in found[5]
