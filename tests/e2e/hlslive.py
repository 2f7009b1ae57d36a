"""A reader of live HLS playlists with low latency: it loads, waits for what comes next, and holds
every list against RFC 8216bis and against the list before it.

    player = Player(keepframe, "yard")
    player.load()
    player.follow()          # waits for the next part
"""

import http.client
import math
import re
from dataclasses import dataclass, field

import pytest

import web
from times import parse_utc

CEILING_S = 60


@dataclass
class Part:
    uri: str
    duration: float
    independent: bool


@dataclass
class Segment:
    sequence: int
    discontinuity: int  # its discontinuity sequence number
    map: str
    wall_us: int
    parts: list = field(default_factory=list)
    uri: str = None  # None: it is not complete
    duration: float = 0


@dataclass
class Playlist:
    target: int
    part_target: float
    control: dict
    segments: list
    tags: dict
    text: str

    @property
    def complete(self):
        return [segment for segment in self.segments if segment.uri]

    @property
    def open(self):
        return self.segments[-1] if not self.segments[-1].uri else None

    @property
    def parts(self):
        return [part for segment in self.segments for part in segment.parts]

    @property
    def next(self):
        """What comes next: the sequence number of a segment, and of a part in it."""
        last = self.segments[-1]
        return (last.sequence + 1, 0) if last.uri else (last.sequence, len(last.parts))


def attributes(text):
    return {name: value.strip('"') for name, value in
            re.findall(r'([A-Z-]+)=("[^"]*"|[^,]*)', text)}


def parse(text):
    """A live media playlist; what must not be is refused."""
    lines = text.split("\n")
    assert lines[0] == "#EXTM3U" and lines[-1] == "" and "" not in lines[:-1]
    tags, segments, current, now_map, discontinuity = {}, [], None, None, 0

    def begun():
        nonlocal current
        if current is None:
            sequence = int(tags["#EXT-X-MEDIA-SEQUENCE"]) + len(segments)
            first = int(tags["#EXT-X-DISCONTINUITY-SEQUENCE"])
            current = Segment(sequence, first + discontinuity, None, None)
            segments.append(current)
        current.map = now_map
        return current

    for line in lines[1:-1]:
        name, _, value = line.partition(":")
        if name == "#EXT-X-DISCONTINUITY":
            assert current is None or not current.parts, "inside a segment"
            discontinuity += 1
        elif name == "#EXT-X-MAP":
            now_map = attributes(value)["URI"]
        elif name == "#EXT-X-PROGRAM-DATE-TIME":
            begun().wall_us = parse_utc(value)
        elif name == "#EXT-X-PART":
            part = attributes(value)
            begun().parts.append(Part(part["URI"], float(part["DURATION"]),
                                      part.get("INDEPENDENT") == "YES"))
        elif name == "#EXTINF":
            begun().duration = float(value.split(",")[0])
        elif line.startswith("#"):
            assert name not in tags, f"{name} stands there twice"
            tags[name] = value
        else:
            begun().uri = line
            current = None
    control = attributes(tags["#EXT-X-SERVER-CONTROL"])
    playlist = Playlist(int(tags["#EXT-X-TARGETDURATION"]),
                        float(attributes(tags["#EXT-X-PART-INF"])["PART-TARGET"]), control, segments,
                        tags, text)
    check(playlist)
    return playlist


def check(playlist):
    """What holds of one list alone."""
    assert float(playlist.control["PART-HOLD-BACK"]) >= 2 * playlist.part_target
    assert "#EXT-X-ENDLIST" not in playlist.tags and "#EXT-X-PLAYLIST-TYPE" not in playlist.tags
    behind = 0
    for index, segment in reversed(list(enumerate(playlist.segments))):
        assert segment.map, "no initialisation"
        assert segment.uri or index == len(playlist.segments) - 1
        assert math.floor(segment.duration + 0.5) <= playlist.target
        for part in segment.parts:
            assert part.duration <= playlist.part_target + 1e-6
        if segment.parts and segment.uri:
            assert sum(part.duration for part in segment.parts) == \
                pytest.approx(segment.duration, abs=1e-4)
        if segment.uri:
            assert bool(segment.parts) == (behind < 3 * playlist.target), "parts near the end only"
        behind += segment.duration or sum(part.duration for part in segment.parts)
        if "#EXT-X-INDEPENDENT-SEGMENTS" in playlist.tags and segment.parts:
            assert segment.parts[0].independent


def check_change(before, after):
    """What must hold of a list and one that was loaded later (6.2.1, 6.2.2)."""
    assert after.segments[0].sequence >= before.segments[0].sequence
    assert after.target >= before.target
    later = {segment.sequence: segment for segment in after.segments}
    for segment in before.segments:
        same = later.get(segment.sequence)
        if same is None:
            assert segment.sequence < after.segments[0].sequence, "a segment has gone"
            continue
        assert same.discontinuity == segment.discontinuity and same.wall_us == segment.wall_us
        assert same.map == segment.map
        if segment.uri:
            assert (same.uri, same.duration) == (segment.uri, segment.duration)
        if same.parts:
            assert same.parts[:len(segment.parts)] == segment.parts


class Player:
    """Loads a stream's live playlist again and again. `source` is the address it comes from."""

    def __init__(self, keepframe, camera, audio=None, source="127.0.0.1"):
        self.keepframe, self.source = keepframe, source
        self.folder = f"/hls/{camera}/main/"
        self.audio = audio
        self.playlist = None

    def ask(self, name, params=None):
        """A connection on which the question has been put; answer() reads what comes."""
        connection = http.client.HTTPConnection(
            self.keepframe.address(), timeout=CEILING_S, source_address=(self.source, 0))
        connection.request("GET", web.target(self.folder + name, params))
        return connection

    @staticmethod
    def answer(connection):
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return web.Answer(response.status, response.headers, body, "GET", "")

    def wait_for(self, sequence, part=None):
        return self.ask("live.m3u8", {"audio": self.audio, "_HLS_msn": sequence, "_HLS_part": part})

    def take(self, answer):
        assert answer.expect(200).headers["Content-Type"] == "application/vnd.apple.mpegurl"
        playlist = parse(answer.body.decode())
        if self.playlist:
            check_change(self.playlist, playlist)
        self.playlist = playlist
        return playlist

    def load(self):
        return self.take(self.answer(self.ask("live.m3u8", {"audio": self.audio})))

    def follow(self):
        """The list once it has what came next when it was loaded last."""
        sequence, part = self.playlist.next
        playlist = self.take(self.answer(self.wait_for(sequence, part)))
        assert playlist.next > (sequence, part), "the answer came too early"
        return playlist

    def fetch(self, uri):
        answer = self.answer(self.ask(uri)).expect(200)
        assert int(answer.headers["Content-Length"]) == len(answer.body)
        return answer.body
