"""What a range's file must hold, packet by packet, by the written rules (docs/api.md, /video).

It is made from the recorder's files themselves and their places in time. It shares no code with the
product and knows nothing of its catalog, its sample tables or its way of computing.
"""

import copy
import hashlib
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path

import fragments

US = 1_000_000


def nearest(numerator, denominator):
    """numerator / denominator to the nearest integer, halves away from zero."""
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


# A packet of silence by codec and channels.
SILENCE = {
    (b"mp4a", 1): bytes.fromhex("00c800802380"),
    (b"mp4a", 2): bytes.fromhex("210049900219002380"),
    (b"Opus", 1): bytes.fromhex("f8fffe"),
    (b"Opus", 2): bytes.fromhex("f8fffe"),
}
FRAME = {b"mp4a": 1024, b"Opus": 960}  # its ticks, where the time scale is the sampling rate


def md5(data):
    return hashlib.md5(data).hexdigest()


@dataclass(frozen=True)
class Packet:
    hash: str
    dts: int
    pts: int
    duration: int
    key: bool
    entry: str = ""  # hash of its sample entry
    data: bytes = field(default=b"", repr=False, compare=False)
    made: bool = False  # it is silence

    @property
    def end(self):
        return self.pts + self.duration


@dataclass(frozen=True)
class Recorded:
    """Where a recorder's file is, and its place in time."""

    id: str
    start_us: int
    end_us: int
    path: Path


class Source:
    """A segment (Recorded, or one that footage.py made) as it was recorded. Times are ticks of the run's media clock."""

    def __init__(self, segment):
        self.segment = segment
        self.id = segment.id
        self.run, self.number = self.id.rsplit("-", 1)
        self.start_us, self.end_us = segment.start_us, segment.end_us
        tracks = fragments.read(segment.path.read_bytes())
        self.video, self.video_scale, self.video_entry = _packets(tracks.get("video"))
        self.audio, self.audio_scale, self.audio_entry = _packets(tracks.get("audio"))
        self.begin = min(packet.pts for packet in self.video)
        self.end = self.begin + sum(packet.duration for packet in self.video)
        # Where its place in time says otherwise (docs/decisions/0010), or pictures are missing before
        # the one that is shown last, as the recorder was killed, it ends with the last picture.
        wall = nearest((self.end_us - self.start_us) * self.video_scale, US)
        if abs(wall - (self.end - self.begin)) > (self.end - self.begin) // 1000 + 1 or \
                max(packet.pts for packet in self.video) >= self.end:
            self.end = max(packet.end for packet in self.video)

    def media_time(self, time_us):
        """The tick that is nearest to a moment: time passes evenly within a segment."""
        return self.begin + nearest((time_us - self.start_us) * (self.end - self.begin),
                                    self.end_us - self.start_us)

    def wall_time(self, pts):
        return self.start_us + nearest((pts - self.begin) * (self.end_us - self.start_us),
                                       self.end - self.begin)

    def continues(self, before):
        """Whether it is the next segment of the same run, whose clock goes on within 1 s (and may
        overlap by 0.2 s where ffmpeg makes the first boundary)."""
        late = self.begin - before.end
        return self.run == before.run and int(self.number) == int(before.number) + 1 and \
            -self.video_scale / 5 <= late <= self.video_scale


def in_line(sources, start_us):
    """The order of playing. Stretches (segments of a run that follow each other and do not go back
    in time) stay whole; they ascend by start, and those that have begun when the range does by
    identity."""
    stretches = []
    for source in sorted(sources, key=lambda source: (source.run, int(source.number))):
        last = stretches[-1][-1] if stretches else None
        if last and last.run == source.run and int(last.number) + 1 == int(source.number) and \
                last.start_us < source.start_us:
            stretches[-1].append(source)
        else:
            stretches.append([source])
    stretches.sort(key=lambda stretch: max(stretch[0].start_us, start_us))  # it is stable
    return [source for stretch in stretches for source in stretch]


def _packets(track):
    if track is None:
        return [], 0, b""
    entry = md5(track.entry)
    return [Packet(md5(sample.data), sample.dts, sample.pts,
                   following.dts - sample.dts if following else sample.duration, sample.key, entry,
                   sample.data)
            for sample, following in zip(track.samples, [*track.samples[1:], None])], \
        track.timescale, track.entry


# --- Parameter sets


def parameter_sets(entry):
    """Those of a sample entry, as they would stand in a sample."""
    boxes = {kind: entry[at:to] for kind, at, to in fragments.boxes(entry, 8 + 78)}
    if "avcC" in boxes:
        return _avc_sets(boxes["avcC"])
    if "hvcC" in boxes:
        return _hevc_sets(boxes["hvcC"])
    return boxes["av1C"][4:]  # the sequence header and nothing else, as ffmpeg writes it


def _avc_sets(config):
    found, at = [], 5
    for mask in (31, 255):
        count, at = config[at] & mask, at + 1
        for _ in range(count):
            size = struct.unpack_from(">H", config, at)[0]
            found.append(bytes(2) + config[at:at + 2 + size])
            at += 2 + size
    return b"".join(found)


def _hevc_sets(config):
    found, at = [], 23
    for _ in range(config[22]):
        kind, count = struct.unpack_from(">BH", config, at)
        at += 3
        for _ in range(count):
            size = struct.unpack_from(">H", config, at)[0]
            if kind & 63 in (32, 33, 34):
                found.append(bytes(2) + config[at:at + 2 + size])
            at += 2 + size
    return b"".join(found)


def carries_sets(codec, data):
    """Whether a key sample has its parameter sets in itself."""
    if codec == b"av01":
        return any(kind == 1 for kind in _obu_types(data))
    kinds = {(unit[0] & 31) if codec == b"avc1" else (unit[0] >> 1 & 63) for unit in units(data)}
    return {7, 8} <= kinds if codec == b"avc1" else {32, 33, 34} <= kinds


def units(data):
    """The NAL units of a sample, each of which stands behind its length."""
    found, at = [], 0
    while at < len(data):
        size = struct.unpack_from(">I", data, at)[0]
        found.append(data[at + 4:at + 4 + size])
        at += 4 + size
    return found


def _obu_types(data):
    found, at = [], 0
    while at < len(data):
        head, size, shift = data[at], 0, 0
        found.append(head >> 3 & 15)
        assert head & 2 and not head & 4, "an OBU with a size and without an extension"
        while True:
            at += 1
            size |= (data[at] & 127) << shift
            shift += 7
            if not data[at] & 128:
                break
        at += 1 + size
    return found


@dataclass
class Placed:
    """What of a segment stands in the file, and where."""

    source: Source
    first: int  # of its video samples
    count: int
    origin: int = 0  # file time - run time, ticks of the video
    audio_origin: int = 0


@dataclass
class Expected:
    """A file. Times are ticks of its tracks, on the media's own clock; the edits tell what is
    shown."""

    video: list
    shown: tuple  # [from, to) of the video
    video_scale: int
    audio: list
    heard: tuple | None  # [from, to) of the audio, the media's own clock
    delay: int  # ticks of the video by which sound begins later than the picture
    audio_scale: int
    start_us: int
    end_us: int
    lead_in: int  # ticks of the video
    placed: list
    skipped_us: int  # without footage
    silence: int  # ticks of the audio that were made

    def orphaned(self):
        """Whether there are pictures that refer to others which are not in the file, because a
        segment is played without the one before it."""
        return any(int(after.source.number) > 0 and not after.source.continues(before.source) and
                   after.source.video[0].pts > after.source.begin
                   for before, after in zip(self.placed, self.placed[1:]))


class NoFootage(Exception):
    pass


class CodecChange(Exception):
    pass


def expect(sources, start_us, end_us, audio=True, at_key=False):
    """The file of [start_us, end_us), where the sources of the stream ascend by start."""
    within = [source for source in sources
              if source.video and source.start_us < end_us and source.end_us > start_us]
    if not within:
        raise NoFootage
    _check_codecs(within, audio)
    return _File(sources, in_line(within, start_us), start_us, end_us, audio, at_key).expected()


def gaps(sources, start_us, end_us):
    """What of a range of the past is not covered, where it is more than 200 ms."""
    found, until = [], start_us
    for source in sorted(sources, key=lambda source: source.start_us):
        if not source.video or source.end_us <= start_us or source.start_us >= end_us:
            continue
        if source.start_us > until + 200_000:
            found.append((until, source.start_us))
        until = max(until, source.end_us)
    if end_us > until + 200_000:
        found.append((until, end_us))
    return found


FAMILIES = {b"avc1": "h264", b"hvc1": "h265", b"av01": "av1", b"mp4a": "aac", b"Opus": "opus"}


def chosen(sources, codec):
    """The sources with what has that codec; the rest of its kind is left out."""
    kind = "video" if codec in ("h264", "h265", "av1") else "audio"
    found = []
    for source in sources:
        if FAMILIES.get(_family(source, kind)) != codec:
            source = copy.copy(source)
            setattr(source, kind, [])
        found.append(source)
    return found


def _check_codecs(sources, audio):
    kinds = {(source.video_scale, _family(source, "video")) for source in sources}
    sounds = {(source.audio_scale, _family(source, "audio")) for source in sources if source.audio}
    if len(kinds) > 1 or (audio and len(sounds) > 1):
        raise CodecChange


def _family(source, kind):
    return getattr(source, kind + "_entry")[4:8]


def _channels(entry):
    """1 or 2. Of AAC the entry's own field says nothing; its AudioSpecificConfig does."""
    if entry[4:8] != b"mp4a":
        return struct.unpack_from(">H", entry, 8 + 16)[0]
    at = entry.index(b"\x05\x80\x80\x80", entry.index(b"esds"))  # as ffmpeg writes lengths
    return entry[at + 6] >> 3 & 15


class _File:
    def __init__(self, sources, within, start_us, end_us, audio, at_key):
        self.sources = sources
        self.within = within
        self.at_key = at_key
        self._find_start(start_us)
        self._find_end(end_us)
        self._place()
        self._make_video()
        self.audio, self.heard, self.delay, self.audio_scale = [], None, 0, 0
        if audio:
            self._make_audio()

    def expected(self):
        silence = sum(packet.duration for packet in self.audio if packet.made)
        return Expected(self.video, self.shown, self.first.video_scale, self.audio, self.heard,
                        self.delay, self.audio_scale, self.start_us, self.end_us, self.lead_in,
                        self.placed, self._skipped_us(), silence)

    def _skipped_us(self):
        found, until = 0, self.placed[0].source.end_us
        for before, after in zip(self.placed, self.placed[1:]):
            if not after.source.continues(before.source):
                found += max(after.source.start_us - until, 0)
            until = max(until, after.source.end_us)
        return found

    # --- Which samples

    def _find_start(self, start_us):
        """The frame on screen at the start, and the key frame from which it can be decoded."""
        self.first = source = self.within[0]
        packets = source.video
        order = sorted(range(len(packets)), key=lambda i: packets[i].pts)
        moment = source.media_time(start_us) if start_us > source.start_us else source.begin
        shown = [i for i in order if packets[i].pts <= moment][-1]
        keys = [i for i, packet in enumerate(packets) if packet.key]
        self.shown_packet = packets[shown]
        # A picture that is shown before its key frame refers to what is before that.
        before = [i for i in keys if i <= shown and packets[i].pts <= packets[shown].pts]
        self.lead = None
        if before:
            self.first_index = before[-1]
        elif previous := self._before(source):
            self.lead = previous
            self.first_index = [i for i, p in enumerate(previous.video) if p.key][-1]
        else:
            self.first_index = keys[0]
            self.shown_packet = packets[keys[0]]
        if self.at_key:  # it is the first that is shown
            if self.lead:
                self.within.insert(0, self.lead)
                self.first, self.lead = self.lead, None
            self.shown_packet = self.first.video[self.first_index]

    def _before(self, source):
        return next((previous for previous in self.sources
                     if previous.video and source.continues(previous) and
                     previous.start_us < source.start_us), None)

    def _find_end(self, end_us):
        """The last frame that is on screen before the end, and when it is over."""
        last = self.within[-1]
        self.cut = None
        self.last, self.last_count, self.end = last, len(last.video), last.end
        if end_us >= last.end_us:
            self.end_us = last.end_us
            return
        end = last.media_time(end_us)
        if last is self.first:
            end = max(end, self.shown_packet.pts + 1)
        skipped = self.first_index if last is self.first and not self.lead else 0
        kept = [i for i, packet in enumerate(last.video) if packet.pts < end and i >= skipped]
        if not kept:
            self.last = self.within[-2]
            self.last_count, self.end = len(self.last.video), self.last.end
            self.end_us = self.last.end_us
            return
        self.last_count, self.end = kept[-1] + 1, end
        on_screen = max((last.video[i] for i in kept), key=lambda packet: packet.pts)
        self.cut = (on_screen, end - on_screen.pts) if on_screen.end > end else None
        self.end_us = max(end_us, last.wall_time(self.shown_packet.pts) + 1) \
            if last is self.first else end_us

    # --- Where they stand

    def _place(self):
        within = self.within[:self.within.index(self.last) + 1]
        sources = ([self.lead] if self.lead else []) + within
        self.placed = []
        for source in sources:
            first = self.first_index if not self.placed else 0
            count = (self.last_count if source is self.last else len(source.video)) - first
            placed = Placed(source, first, count)
            if not self.placed:
                placed.origin = -source.video[first].dts
            elif source.continues(self.placed[-1].source):
                placed.origin = self.placed[-1].origin
            else:  # the next picture follows the last one at once
                before = self.placed[-1]
                placed.origin = before.origin + before.source.end - source.begin
            self.placed.append(placed)

    def _make_video(self):
        packets = []
        for placed in self.placed:
            taken = placed.source.video[placed.first:placed.first + placed.count]
            # Decode times ascend; where they would not, a segment is decoded later.
            late = max(packets[-1].dts + 1 - (taken[0].dts + placed.origin), 0) if packets else 0
            sets = self._sets_before(placed.source)
            packets += [replace(packet, dts=packet.dts + placed.origin + late,
                                pts=packet.pts + placed.origin,
                                hash=md5(sets + packet.data) if packet.key else packet.hash)
                        for packet in taken]
        origin = next(p.origin for p in self.placed if p.source is self.first)
        shown = self.shown_packet.pts + origin
        shift = max(-shown, 0)  # an edit can not begin before zero
        packets = [replace(packet, pts=packet.pts + shift) for packet in packets]
        for placed in self.placed:
            placed.origin += shift
        end = self.end + self.placed[-1].origin
        self.video = self._with_durations(packets)
        self.shown = (shown + shift, end)
        self.start_us = self.first.wall_time(self.shown_packet.pts)
        begin = self.placed[0]
        self.lead_in = max(
            self.shown[0] - begin.source.video[begin.first].pts - begin.origin, 0)

    def _sets_before(self, source):
        """What is put before each of its key samples: its parameter sets, where the file has
        several and they are not there yet."""
        several = {parameter_sets(placed.source.video_entry) for placed in self.placed}
        if len(several) == 1 or all(carries_sets(source.video_entry[4:8], packet.data)
                                    for packet in source.video if packet.key):
            return b""
        return parameter_sets(source.video_entry)

    def _with_durations(self, packets):
        """Each lasts until the next one is decoded; the one on screen at the end no longer than
        that."""
        found = [replace(packet, duration=following.dts - packet.dts)
                 for packet, following in zip(packets, packets[1:])] + packets[-1:]
        if self.cut is None:
            return found
        at = next(i for i, packet in reversed(list(enumerate(found)))
                  if packet.data is self.cut[0].data)
        less = found[at].duration - self.cut[1]
        if less <= 0:
            return found
        found[at] = replace(found[at], duration=self.cut[1])
        return found[:at + 1] + [replace(packet, dts=packet.dts - less)
                                 for packet in found[at + 1:]]

    # --- Sound

    def _make_audio(self):
        sounding = [p.source for p in self.placed if p.source.audio]
        if not sounding:
            return
        sound = _Sound(self, sounding[0])
        for placed, following in zip(self.placed, [*self.placed[1:], None]):
            sound.add(placed, following)
        packets = sound.packets
        end = packets[-1].dts + packets[-1].duration if packets else 0
        packets = [replace(packet, duration=following.dts - packet.dts)
                   for packet, following in zip(packets, packets[1:])] + packets[-1:]
        if not sound.heard:
            return
        first = packets[0].dts
        heard = (max(first, sound.begin), min(end, sound.end))
        if heard[1] <= heard[0]:
            return
        self.audio_scale = sound.scale
        self.delay = nearest((heard[0] - sound.begin) * sound.picture, sound.scale)
        self.heard = tuple(at - first for at in heard)
        self.audio = [replace(packet, dts=packet.dts - first, pts=packet.pts - first)
                      for packet in packets]


class _Sound:
    """The sound of a file, placed beside its picture. Each recorded packet stands at its own time;
    where more than a packet is missing, silence does."""

    def __init__(self, file, first):
        self.scale, self.picture = first.audio_scale, file.first.video_scale
        self.begin, self.end = (nearest(at * self.scale, self.picture) for at in file.shown)
        self.frame = FRAME[first.audio_entry[4:8]]
        self.entry = first.audio_entry
        self.packets = []
        self.heard = False  # something else than silence
        self.until = self.begin  # where what is there ends
        self.before = None  # the segment of the last packet; None: it is silence
        self.previous = None  # the segment before this one

    def add(self, placed, following):
        source = placed.source
        origin = nearest(placed.origin * self.scale, self.picture)
        begins_run = self.previous is not None and not source.continues(self.previous)
        ends_run = following is not None and not following.source.continues(source)
        ends = nearest(source.end * self.scale + placed.origin * self.scale, self.picture)
        if source.audio:
            self._add_packets(source, origin, placed, begins_run, ends if ends_run else self.end)
        limit = min(ends, self.end)
        if following and not ends_run:
            limit = min(limit, ends - self.scale)
        self._fill(limit, lambda missing: missing // self.frame)
        self.previous = source

    def _add_packets(self, source, origin, placed, begins_run, ends):
        # A run's sound goes from its first picture to the end of its last one.
        if not self.packets:
            least, covering = self.begin, True
        elif self.before and source.continues(self.before):
            least, covering = self.packets[-1].dts + 1, False
        else:  # whole packets that would overlap are left out
            last = self.packets[-1]
            least, covering = last.dts + (self.until - last.dts) // 2, False
        if begins_run:
            first = nearest((source.begin + placed.origin) * self.scale, self.picture)
            least = max(least, first - source.audio[-1].duration // 2)
            covering = False
        for packet in source.audio:
            at = packet.dts + origin
            lasts = self.frame if packet.duration > 2 * self.frame else packet.duration
            early = at + lasts <= least if covering else at < least
            if early or at >= min(ends, self.end):
                continue
            if not self.packets:
                self.entry = source.audio_entry
            self._fill(at, lambda missing: nearest(missing, self.frame))
            at = max(at, self.packets[-1].dts + 1) if self.packets else at
            self.packets.append(replace(packet, dts=at, pts=at, duration=lasts))
            self.until = at + lasts
            self.entry, self.before, self.heard = source.audio_entry, source, True

    def _fill(self, until, count):
        missing = until - self.until
        if missing <= self.frame:
            return
        data = SILENCE[self.entry[4:8], _channels(self.entry)]
        for _ in range(count(missing)):
            self.packets.append(Packet(md5(data), self.until, self.until, self.frame, True,
                                       md5(self.entry), data, True))
            self.until += self.frame
            self.before = None
