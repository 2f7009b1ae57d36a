"""Fragmented MP4 as the recorder writes it, read and written by a few hundred lines of their own.

Nothing here shares code with the product, so that the two can disagree.
"""

import struct
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """A packet. Times in ticks of its track, on the run's media clock."""

    data: bytes
    dts: int
    duration: int
    composition: int  # pts - dts
    key: bool

    @property
    def pts(self):
        return self.dts + self.composition


@dataclass
class Track:
    id: int
    kind: str  # "video" or "audio"
    timescale: int
    entry: bytes  # the sample entry, a whole box
    samples: list


# --- Reading


def boxes(data, start=0, end=None):
    """(type, from, to) of the content of each whole box that lies in data[start:end]."""
    end = len(data) if end is None else end
    while end - start >= 8:
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1:
            size, header = struct.unpack_from(">Q", data, start + 8)[0], 16
        if size < header or start + size > end:
            return
        yield kind.decode("latin-1"), start + header, start + size
        start += size


def find(data, path, start=0, end=None):
    """(from, to) of the content of the first box at "moov/trak/...", or None."""
    for name in path.split("/"):
        place = next((at for kind, *at in boxes(data, start, end) if kind == name), None)
        if place is None:
            return None
        start, end = place
    return start, end


def read(data):
    """The tracks of a fragmented file, by kind; a cut last box is left out."""
    tracks, defaults = {}, {}
    for kind, start, end in boxes(data):
        if kind == "moov":
            for name, at, to in boxes(data, start, end):
                if name == "trak":
                    track = _track(data, at, to)
                    tracks[track.id] = track
            for name, at, to in boxes(data, *(find(data, "mvex", start, end) or (0, 0))):
                if name == "trex":
                    track_id, _, duration, size, flags = struct.unpack_from(">5I", data, at + 4)
                    defaults[track_id] = (duration, size, flags)
        elif kind == "moof":
            for name, at, to in boxes(data, start, end):
                if name == "traf":
                    _traf(data, start - 8, at, to, tracks, defaults)
    return {track.kind: track for track in tracks.values()}


def _track(data, start, end):
    at, _ = find(data, "tkhd", start, end)
    track_id = struct.unpack_from(">I", data, at + (20 if data[at] else 12))[0]
    at, _ = find(data, "mdia/mdhd", start, end)
    timescale = struct.unpack_from(">I", data, at + (20 if data[at] else 12))[0]
    at, _ = find(data, "mdia/hdlr", start, end)
    kind = {b"vide": "video", b"soun": "audio"}[data[at + 8:at + 12]]
    at, to = find(data, "mdia/minf/stbl/stsd", start, end)
    return Track(track_id, kind, timescale, data[at + 8:to], [])


def _traf(data, moof, start, end, tracks, defaults):
    track, time = None, 0
    for kind, at, to in boxes(data, start, end):
        flags = struct.unpack_from(">I", data, at)[0] & 0xFFFFFF
        if kind == "tfhd":
            track = tracks[struct.unpack_from(">I", data, at + 4)[0]]
            assert flags & 0x20000 and not flags & 1, "offsets count from the moof"
            duration, size, sample_flags = defaults[track.id]
            at += 8 + (4 if flags & 2 else 0)
            if flags & 8:
                duration, at = struct.unpack_from(">I", data, at)[0], at + 4
            if flags & 16:
                size, at = struct.unpack_from(">I", data, at)[0], at + 4
            if flags & 32:
                sample_flags = struct.unpack_from(">I", data, at)[0]
        elif kind == "tfdt":
            time = struct.unpack_from(">Q" if data[at] else ">I", data, at + 4)[0]
        elif kind == "trun":
            time = _trun(data, moof, at, flags, track, time, (duration, size, sample_flags))


def _trun(data, moof, at, flags, track, time, defaults):
    version = data[at]
    count = struct.unpack_from(">I", data, at + 4)[0]
    assert flags & 1, "a trun says where its data lies"
    offset = moof + struct.unpack_from(">i", data, at + 8)[0]
    at += 12
    first_flags = None
    if flags & 4:
        first_flags, at = struct.unpack_from(">I", data, at)[0], at + 4
    for index in range(count):
        duration, size, sample_flags = defaults
        if first_flags is not None and index == 0:
            sample_flags = first_flags
        composition = 0
        if flags & 0x100:
            duration, at = struct.unpack_from(">I", data, at)[0], at + 4
        if flags & 0x200:
            size, at = struct.unpack_from(">I", data, at)[0], at + 4
        if flags & 0x400:
            sample_flags, at = struct.unpack_from(">I", data, at)[0], at + 4
        if flags & 0x800:
            composition, at = struct.unpack_from(">i" if version else ">I", data, at)[0], at + 4
        key = track.kind == "audio" or not sample_flags & 0x10000
        assert offset + size <= len(data), "a sample's data is missing"
        track.samples.append(Sample(data[offset:offset + size], time, duration, composition, key))
        time += duration
        offset += size
    return time


# --- Writing


def head(data):
    """ftyp and moov of a fragmented file: what its fragments go behind."""
    return data[:next(end for kind, _, end in boxes(data) if kind == "moov")]


def _box(kind, *parts):
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def fragment(sequence, pieces):
    """A moof and its mdat. `pieces` are (track, samples) whose samples follow each other without a
    hole."""
    offset = 24 + sum(64 + 16 * len(samples) for _, samples in pieces) + 8
    trafs = []
    for track, samples in pieces:
        trafs.append(_write_traf(track, samples, offset))
        offset += sum(len(sample.data) for sample in samples)
    moof = _box(b"moof", _box(b"mfhd", bytes(4), struct.pack(">I", sequence)), *trafs)
    return moof + _box(b"mdat", *(sample.data for _, samples in pieces for sample in samples))


def _write_traf(track, samples, offset):
    rows = b"".join(
        struct.pack(">IIIi", sample.duration, len(sample.data),
                    0x2000000 if sample.key else 0x1010000, sample.composition)
        for sample in samples)
    return _box(
        b"traf",
        _box(b"tfhd", struct.pack(">II", 0x20000, track.id)),
        _box(b"tfdt", struct.pack(">IQ", 0x1000000, samples[0].dts)),
        _box(b"trun", struct.pack(">IIi", 0x1000F01, len(samples), offset), rows))
