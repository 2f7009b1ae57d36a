"""What a range should show: a model of the tests' own, from the sealed files and the API's times.

It knows nothing of how the product computes a range: it reads every frame of every sealed segment,
places it in UTC, and says which frames are on screen in [start, end).
"""

import bisect
from dataclasses import dataclass

import media


@dataclass(frozen=True)
class Frame:
    start_us: int  # UTC, when it comes on screen
    end_us: int  # and when the next one does
    hash: str
    segment: str


class Footage:
    """The frames of one track of a stream, in the order in which they are seen."""

    def __init__(self, keepframe, camera, kind="video", stream="main"):
        self.frames = []
        for segment in keepframe.sealed(camera, stream):
            self.frames += _segment_frames(segment, keepframe.segment_file(segment), kind)
        self.starts = [frame.start_us for frame in self.frames]

    @property
    def start_us(self):
        return self.frames[0].start_us

    @property
    def end_us(self):
        return self.frames[-1].end_us

    def index_at(self, moment_us):
        """The frame on screen at that moment (the first one before all of them)."""
        return max(bisect.bisect_right(self.starts, moment_us) - 1, 0)

    def frame_us(self):
        """How long a frame lasts, typically."""
        lengths = sorted(frame.end_us - frame.start_us for frame in self.frames)
        return lengths[len(lengths) // 2]


def _segment_frames(segment, path, kind):
    track = media.Movie(path)
    movie, track = track, track.track(kind)
    if track is None:
        return []
    video = movie.track("video")
    bend = (segment.end_us - segment.start_us) / 1e6 / video.length_s()
    delay = track.delay_s() - video.delay_s()
    moments = [(round(segment.start_us + (delay + at_s) * bend * 1e6), sample)
               for sample, at_s in track.shown()]
    last = moments[-1][1]
    end = moments[-1][0] + round(last.duration / track.timescale * bend * 1e6)
    if kind == "video":
        end = segment.end_us
    ends = [moment for moment, _ in moments[1:]] + [end]
    return [Frame(moment, until, movie.hash_of(sample), segment.id)
            for (moment, sample), until in zip(moments, ends)]


def shown_packets(path, kind="video"):
    """The packets that are shown, in the order of presentation, with ffprobe's times after the
    edit list."""
    shown = sorted((packet for packet in media.packets(path, kind) if not packet.hidden),
                   key=lambda packet: packet.pts)
    assert shown, f"{path} shows nothing"
    return shown
