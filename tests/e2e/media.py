"""What is in a media file: by ffmpeg and ffprobe, and by a small MP4 reader of the tests' own.

Nothing here shares code with the product, so that the two can disagree.
"""

import hashlib
import json
import re
import struct
import subprocess
from dataclasses import dataclass, field

# --- Boxes (ISO/IEC 14496-12, 4.2)

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"udta"}


@dataclass(frozen=True)
class Box:
    type: str
    offset: int  # of its header in the file
    size: int
    header: int  # bytes of header


def boxes_in(data, start=0, end=None):
    """The boxes that lie side by side in data[start:end]; the last may be cut off."""
    end = len(data) if end is None else end
    found = []
    while end - start >= 8:
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1 and end - start >= 16:
            size, header = struct.unpack_from(">Q", data, start + 8)[0], 16
        elif size == 0:
            size = end - start
        if size < header:
            break
        found.append(Box(kind.decode("latin-1"), start, size, header))
        start += size
    return found


def top_boxes(path):
    return boxes_in(path.read_bytes())


def top_types(path):
    return [box.type for box in top_boxes(path)]


def content(data, box):
    return data[box.offset + box.header:box.offset + box.size]


def child(data, path):
    """The content of the first box at "moov/trak/...", or None."""
    for name in path.split("/"):
        box = next((box for box in boxes_in(data) if box.type == name), None)
        if box is None:
            return None
        data = content(data, box)
    return data


_IDENTITY = re.compile(rb"[a-z0-9][a-z0-9_-]{0,62}/[a-z0-9][a-z0-9_-]{0,62}/\d{10,16}-\d{6,10}")


def identity_of(path):
    """The identity (CAMERA/STREAM/RUN-NNNNNN) that a sealed file carries, or None."""
    data = path.read_bytes()
    for box in reversed(boxes_in(data)):
        if box.type == "moov":
            match = _IDENTITY.search(content(data, box))
            return match[0].decode() if match else None
    return None


# --- A plain MP4's samples


@dataclass(frozen=True)
class Sample:
    offset: int
    size: int
    dts: int  # ticks of the track, from the track's beginning
    pts: int
    duration: int
    key: bool
    entry: int  # index of its sample entry


@dataclass(frozen=True)
class Edit:
    duration: int  # ticks of the movie
    media_time: int  # ticks of the track; -1: nothing is shown


@dataclass
class Track:
    kind: str  # "video" or "audio"
    timescale: int
    movie_timescale: int
    samples: list
    edits: list
    entries: list = field(default_factory=list)  # types of the sample entries
    entry_boxes: list = field(default_factory=list)  # the entries themselves

    def in_order(self):
        """Samples in the order of presentation."""
        return sorted(self.samples, key=lambda sample: sample.pts)

    def shown_ticks(self):
        """[from, until) of what the edit list shows, on the media's own time."""
        real = [edit for edit in self.edits if edit.media_time >= 0]
        if not real:
            ordered = self.in_order()
            return ordered[0].pts, ordered[-1].pts + ordered[-1].duration
        assert len(real) == 1, f"more than one stretch is shown: {self.edits}"
        length = round(real[0].duration * self.timescale / self.movie_timescale)
        return real[0].media_time, real[0].media_time + length

    def shown(self):
        """Samples on screen at some moment, in the order of presentation, with when (seconds from
        the start of presentation) they appear."""
        begin, end = self.shown_ticks()
        ordered = self.in_order()
        found = []
        for this, following in zip(ordered, [*ordered[1:], None]):
            until = following.pts if following else this.pts + this.duration
            if until > begin and this.pts < end:
                found.append((this, (this.pts - begin) / self.timescale))
        return found

    def delay_s(self):
        """Empty edits before the first picture or sound."""
        empty = sum(edit.duration for edit in self.edits if edit.media_time < 0)
        return empty / self.movie_timescale

    def length_s(self):
        begin, end = self.shown_ticks()
        return (end - begin) / self.timescale


class Movie:
    """A plain (not fragmented) MP4, whole in memory."""

    def __init__(self, source):
        self.data = source if isinstance(source, bytes) else source.read_bytes()
        moovs = [box for box in boxes_in(self.data) if box.type == "moov"]
        assert len(moovs) == 1, f"{len(moovs)} moov boxes"
        moov = content(self.data, moovs[0])
        mvhd = child(moov, "mvhd")
        self.timescale = struct.unpack_from(">I", mvhd, 20 if mvhd[0] == 1 else 12)[0]
        self.tracks = [self._track(content(moov, box))
                       for box in boxes_in(moov) if box.type == "trak"]

    def track(self, kind):
        return next((track for track in self.tracks if track.kind == kind), None)

    def bytes_of(self, sample):
        return self.data[sample.offset:sample.offset + sample.size]

    def hash_of(self, sample):
        return hashlib.md5(self.bytes_of(sample)).hexdigest()

    def _track(self, trak):
        handler = child(trak, "mdia/hdlr")[8:12]
        mdhd = child(trak, "mdia/mdhd")
        stbl = child(trak, "mdia/minf/stbl")
        stsd = child(stbl, "stsd")
        return Track(
            kind={b"vide": "video", b"soun": "audio"}.get(handler, handler.decode("latin-1")),
            timescale=struct.unpack_from(">I", mdhd, 20 if mdhd[0] == 1 else 12)[0],
            movie_timescale=self.timescale,
            samples=_samples(stbl),
            edits=_edits(child(trak, "edts/elst")),
            entries=[box.type for box in boxes_in(stsd, 8)],
            entry_boxes=[stsd[box.offset:box.offset + box.size] for box in boxes_in(stsd, 8)],
        )


def _table(data, layout, count_at=4):
    """Rows of a full box: count, then rows of `layout`."""
    count = struct.unpack_from(">I", data, count_at)[0]
    rows = list(struct.iter_unpack(">" + layout, data[count_at + 4:]))
    assert len(rows) == count, f"a table of {len(rows)} rows says that it has {count}"
    return rows


def _edits(elst):
    if elst is None:
        return []
    rows = _table(elst, "Qqhh" if elst[0] == 1 else "Iihh")
    return [Edit(duration, media_time) for duration, media_time, _, _ in rows]


def _samples(stbl):
    durations = [delta for count, delta in _table(child(stbl, "stts"), "II") for _ in range(count)]
    ctts = child(stbl, "ctts")
    shifts = [shift for count, shift in _table(ctts, "Ii" if ctts[0] == 1 else "II")
              for _ in range(count)] if ctts else [0] * len(durations)
    stsz = child(stbl, "stsz")
    same, count = struct.unpack_from(">II", stsz, 4)
    sizes = [same] * count if same else [size for (size,) in _table(stsz, "I", 8)]
    assert len(durations) == len(shifts) == len(sizes), "the tables count different samples"
    stss = child(stbl, "stss")
    keys = {number for (number,) in _table(stss, "I")} if stss else None
    offsets = _offsets(stbl, sizes)
    samples, dts = [], 0
    for index, (size, duration, shift) in enumerate(zip(sizes, durations, shifts)):
        key = keys is None or index + 1 in keys
        offset, entry = offsets[index]
        samples.append(Sample(offset, size, dts, dts + shift, duration, key, entry))
        dts += duration
    return samples


def _offsets(stbl, sizes):
    """(offset, index of its sample entry) of every sample."""
    co64 = child(stbl, "co64")
    chunks = _table(co64, "Q") if co64 is not None else _table(child(stbl, "stco"), "I")
    runs = _table(child(stbl, "stsc"), "III")
    offsets = []
    for index, (first, per_chunk, entry) in enumerate(runs):
        behind = runs[index + 1][0] if index + 1 < len(runs) else len(chunks) + 1
        for (at,) in chunks[first - 1:behind - 1]:
            for _ in range(per_chunk):
                offsets.append((at, entry - 1))
                at += sizes[len(offsets) - 1]
    assert len(offsets) == len(sizes), "the chunks hold another number of samples"
    return offsets


# --- ffmpeg and ffprobe


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=120, **options)
    assert done.returncode == 0, f"{command[0]} failed: {done.stderr.decode(errors='replace')}"
    return done


def frame_hashes(path, kind="video"):
    """The hash of every packet of a track in file order, by ffmpeg -c copy -f framemd5. Edit lists
    are left aside: hidden packets count too."""
    done = run("ffmpeg", "-nostdin", "-v", "error", "-ignore_editlist", "1", "-i", path,
               "-map", f"0:{kind[0]}:0", "-c", "copy", "-copyts", "-f", "framemd5", "-")
    rows = [line.split(",") for line in done.stdout.decode().splitlines()
            if line and not line.startswith("#")]
    return [row[5].strip() for row in rows]


@dataclass(frozen=True)
class Packet:
    pts: float
    duration: float
    hash: str
    key: bool
    hidden: bool  # the edit list discards it


def packets(path, kind="video"):
    """The packets of a track in file order, with their times after the edit list, by ffprobe."""
    done = run("ffprobe", "-v", "error", "-select_streams", f"{kind[0]}:0",
               "-show_data_hash", "md5", "-of", "json",
               "-show_entries", "packet=pts_time,duration_time,flags,data_hash", path)
    return [Packet(float(row["pts_time"]), float(row.get("duration_time", 0)),
                   row["data_hash"].removeprefix("MD5:").lower(), "K" in row["flags"],
                   "D" in row["flags"])
            for row in json.loads(done.stdout)["packets"]]


def probe(path):
    """{"format": {...}, "streams": [...]} by ffprobe."""
    done = run("ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", path)
    return json.loads(done.stdout)


def decode_complaints(path):
    """What ffmpeg has to complain about while it decodes the whole file; "" when nothing."""
    # The null muxer's own clock is the frame rate's: two pictures in one tick of it are no fault.
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-fps_mode",
                           "passthrough", "-enc_time_base:v", "1:90000", "-f", "null", "-"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    return done.stderr.decode(errors="replace") + (
        "" if done.returncode == 0 else f"exit code {done.returncode}")


def picture_after_seek(path, seconds):
    """Time of the first picture that ffmpeg decodes after seeking, in the file's own time."""
    done = run("ffmpeg", "-nostdin", "-v", "error", "-ss", f"{seconds:.6f}", "-copyts", "-i", path,
               "-map", "0:v:0", "-frames:v", "1", "-fps_mode", "passthrough",
               "-enc_time_base", "1:90000", "-f", "framemd5", "-")
    lines = done.stdout.decode().splitlines()
    num, den = next(re.search(r"(\d+)/(\d+)", line) for line in lines
                    if line.startswith("#tb 0")).groups()
    row = next(line for line in lines if not line.startswith("#"))
    return int(row.split(",")[2]) * int(num) / int(den)


# --- Pictures apart from what a packager may add to them


def picture_hash(packet, codec):
    """Hash of an access unit's coded slices alone (length-prefixed NAL units): parameter sets,
    delimiters and SEI, which RTP packagers add and drop, do not count."""
    digest = hashlib.md5()
    at = 0
    while at + 4 < len(packet):
        (size,) = struct.unpack_from(">I", packet, at)
        nal = packet[at + 4:at + 4 + size]
        assert len(nal) == size > 0, "a NAL unit is longer than its packet"
        kind = nal[0] & 0x1F if codec == "h264" else nal[0] >> 1 & 0x3F
        if 1 <= kind <= 5 if codec == "h264" else kind < 32:
            digest.update(nal.rstrip(b"\0"))  # zero bytes behind a NAL unit mean nothing
        at += 4 + size
    return digest.hexdigest()


def picture_hashes(source, codec):
    """Of every video sample of a plain MP4, in file order."""
    movie = Movie(source)
    return [picture_hash(movie.bytes_of(sample), codec) for sample in movie.track("video").samples]
