"""Footage that no camera has sent: runs of every kind, of any length, anywhere in time, in seconds.

Short clips are encoded once; a run repeats them with times of its own, each video sample stamped
with a number that no other one has. What is written is what a recorder writes: fragments in files
that begin with a key frame. `sealer` then makes an archive of them.
"""

import itertools
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import fragments
from fragments import Sample

CELLS = 20  # of the band in a picture, see testcam_picture.c
TIMESCALE = 90000  # of video, as the recorder has it
FRAGMENT = TIMESCALE // 2


@dataclass(frozen=True)
class Video:
    name: str
    codec: str = "h264"
    width: int = 160
    height: int = 90
    fps: int = 25
    gop: int = 25  # frames
    bframes: int = 0
    open_gop: bool = False
    inband: bool = False  # key frames carry their parameter sets
    frames: int = 100

    @property
    def number(self):
        """Of its first picture; the others follow."""
        return 1 + [video.name for video in VIDEOS].index(self.name) * 1000


VIDEOS = (
    Video("plain"),
    Video("bframes", bframes=3),
    Video("open", bframes=2, open_gop=True, gop=20),
    Video("inband", inband=True),
    Video("large", width=320, height=180),
    Video("largeband", width=320, height=180, bframes=2, inband=True),
    Video("long", gop=250, frames=250),
    Video("slow", fps=10, gop=20),
    Video("hevc", codec="h265", bframes=3, gop=20),
    Video("hevclarge", codec="h265", width=320, height=180),
    Video("hevcband", codec="h265", inband=True),
    Video("av1", codec="av1"),
    Video("still", fps=1, gop=60, frames=600),
)


@dataclass(frozen=True)
class Sound:
    name: str
    codec: str = "aac"
    rate: int = 16000
    channels: int = 1

    @property
    def frame(self):
        """Ticks of a packet; the time scale is the rate."""
        return 960 if self.codec == "opus" else 1024


SOUNDS = (
    Sound("mono16"), Sound("mono8", rate=8000), Sound("stereo16", channels=2),
    Sound("stereo48", rate=48000, channels=2), Sound("mono44", rate=44100),
    Sound("opus", codec="opus", rate=48000),
)


def video(name):
    return next(video for video in VIDEOS if video.name == name)


def sound(name):
    return next((sound for sound in SOUNDS if sound.name == name), None)


# --- Clips


def picture(number, width, height):
    """The band with its number above something that moves, as planes of yuv420p."""
    cell = width // CELLS & ~1
    parity = ~number.bit_count() & 1
    bits = f"{1 << 19 | number << 2 | parity << 1:020b}"
    band = b"".join((b"\xeb" if bit == "1" else b"\x10") * cell for bit in bits)
    band += b"\x80" * (width - len(band))
    ramp = bytes(32 + (i * 7 % 160) for i in range(160)) * (2 + width // 160)
    rows = [ramp[(3 * number + row) % 160:][:width] for row in range(height - cell)]
    return b"".join([band * cell, *rows, b"\x80" * (width * height // 2)])


def _ffmpeg(*words, **options):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, words)], check=True,
                   **options)


def _encoder(video):
    words = ["-g", video.gop, "-bf", video.bframes, "-pix_fmt", "yuv420p"]
    inband = "repeat-headers=1:aud=1:" if video.inband else ""
    if video.codec == "h264":
        return ["-c:v", "libx264", "-preset", "veryfast", *words, "-x264-params",
                f"{inband}open-gop={int(video.open_gop)}:scenecut=0:keyint={video.gop}"
                f":min-keyint={video.gop}"]
    if video.codec == "h265":
        return ["-c:v", "libx265", "-preset", "ultrafast", *words, "-tag:v", "hvc1", "-x265-params",
                f"log-level=error:{inband}keyint={video.gop}:min-keyint={video.gop}:scenecut=0:"
                f"bframes={video.bframes}:open-gop=1:pools=1"]
    return ["-c:v", "libsvtav1", "-preset", 12, "-svtav1-params", "lp=1:enable-tf=0", *words[:2],
            *words[4:]]


class Clips:
    """Encoded clips in a folder, made when they are wanted first."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.known = {}

    def _make(self, name, *words, **options):
        path = self.folder / name
        if not path.exists():
            fresh = self.folder / f"fresh-{id(self)}-{name}"
            _ffmpeg(*words, fresh, **options)
            fresh.rename(path)
        return path

    def _video(self, video):
        if (self.folder / f"{video.name}.mp4").exists():
            return self.folder / f"{video.name}.mp4"
        frames = b"".join(picture(video.number + i, video.width, video.height)
                          for i in range(video.frames))
        raw = self.folder / f"fresh-{id(self)}-{video.name}.yuv"
        raw.write_bytes(frames)
        try:
            return self._make(
                f"{video.name}.mp4", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-video_size",
                f"{video.width}x{video.height}", "-framerate", video.fps, "-i", raw,
                *_encoder(video), "-video_track_timescale", TIMESCALE)
        finally:
            raw.unlink()

    def _sound(self, sound):
        tone = f"aevalsrc=exprs=0.3*sin(2*PI*t*(300+40*t)):s={sound.rate}:d=8"
        codec = ["-c:a", "libopus", "-b:a", "24k"] if sound.codec == "opus" else \
            ["-c:a", "aac", "-b:a", "32k"]
        return self._make(f"{sound.name}.mp4", "-f", "lavfi", "-i", tone, "-ac", sound.channels,
                          *codec)

    def get(self, video, sound):
        """(head, tracks by kind) of a recorder's file with this picture and sound (or None)."""
        key = (video.name, sound.name if sound else "none")
        if key not in self.known:
            words = ["-i", self._video(video), *(["-i", self._sound(sound)] if sound else [])]
            flags = ("+frag_keyframe+empty_moov+default_base_moof+frag_discont"
                     "+negative_cts_offsets+skip_trailer")
            data = self._make(f"{key[0]}-{key[1]}.mp4", *words, "-c", "copy", "-map", "0:v",
                              *(["-map", "1:a"] if sound else []), "-movflags", flags,
                              "-video_track_timescale", TIMESCALE).read_bytes()
            self.known[key] = fragments.head(data), fragments.read(data)
        return self.known[key]


# --- Stamps: what makes every video sample another


def stamp(codec, data, number):
    """The sample with a message in it that decoders pass over."""
    if codec == "av1":  # a padding OBU behind the others
        return data + bytes([15 << 3 | 2, 9]) + b"%08x" % number + b"\x80"
    message = b"\x05\x18" + b"keepframe-footage" [:16] + b"%08x" % number + b"\x80"
    unit = (b"\x06" if codec == "h264" else b"\x4e\x01") + message
    message = len(unit).to_bytes(4, "big") + unit
    # Behind an access unit delimiter, which has to be the first.
    first = data[4] & 0x1F if codec == "h264" else data[4] >> 1 & 0x3F
    at = 4 + int.from_bytes(data[:4], "big") if first == (9 if codec == "h264" else 35) else 0
    return data[:at] + message + data[at:]


# --- Runs


@dataclass(frozen=True)
class Run:
    """What is to be recorded in one life of a recorder."""

    camera: str
    start_us: int  # when its first picture is shown
    video: str
    sound: str | None = None
    lengths: tuple = (5, 5)  # seconds of its segments, at least; a key frame ends them
    stream: str = "main"
    run: int | None = None  # its number; start_us / 1000 unless told
    bend: int = 0  # ppm by which wall time is longer than media time
    origin: int = 0  # ticks: where its media clock begins
    jitter: int = 0  # ticks by which pictures are early or late
    reorder: int = 0  # frames by which they are decoded before they are shown
    sound_late: int = 0  # ms
    sound_drift: int = 0  # ppm
    silences: tuple = ()  # (from, to) in seconds: sound that did not come
    cut: int = 0  # frames that its end lacks
    set_back: tuple = (0, 0)  # (number, us): from that segment on the clock shows so much less


@dataclass
class Segment:
    """One file, with its place in time."""

    run: Run
    number: int
    start_us: int
    end_us: int
    path: Path  # of the fragments, as they were recorded
    numbers: list  # in the pictures, in the order of the samples
    volume: int | None = None  # None: it is in the cache

    @property
    def camera(self):
        return self.run.camera

    @property
    def stream(self):
        return self.run.stream

    @property
    def id(self):
        return f"{self.camera}/{self.stream}/{run_number(self.run)}-{self.number:06}"


def run_number(run):
    return run.start_us // 1000 if run.run is None else run.run


class Recorder:
    """Writes runs as a recorder would."""

    def __init__(self, clips, folder, chance):
        self.clips = clips
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.chance = chance
        self.stamps = itertools.count(1)

    def write(self, run):
        """The segments of a run, in files below the folder."""
        kind, tone = video(run.video), sound(run.sound)
        head, tracks = self.clips.get(kind, tone)
        pictures, numbers, grid = self._pictures(run, kind, tracks["video"])
        sounds = self._sounds(run, tone, tracks.get("audio"), grid)
        segments = []
        for number, (first, last) in enumerate(self._bounds(run, kind, pictures)):
            span = [grid[first], grid[last]]
            if run.cut and last == len(pictures):  # what is shown last may be shown late
                span[1] = max(sample.pts + sample.duration for sample in pictures[first:])
            assert min(sample.pts for sample in pictures[first:last]) == span[0]
            path = self.folder / f"{run.camera}-{run.stream}-{run_number(run)}-{number:06}.mp4"
            path.write_bytes(head + b"".join(self._fragments(
                tracks, pictures[first:last],
                self._heard(sounds, tone, grid[first] if number else None,
                            grid[last] if last < len(pictures) else None))))
            times = [run.start_us + round((at - grid[0]) * (1_000_000 + run.bend) / TIMESCALE)
                     for at in span]
            if run.set_back[0] and number >= run.set_back[0]:
                times = [at - run.set_back[1] for at in times]
            segments.append(Segment(run, number, *times, path, numbers[first:last]))
        return segments

    def _pictures(self, run, kind, track):
        """All video samples, the numbers in their pictures, and when each picture is shown: one
        moment more than there are."""
        step = TIMESCALE // kind.fps
        loop = sorted(range(len(track.samples)), key=lambda i: track.samples[i].pts)
        rank = {sample: at for at, sample in enumerate(loop)}
        size = len(loop)
        wanted = sum(length * kind.fps + kind.gop for length in run.lengths) + kind.gop
        grid, at = [], run.origin + run.reorder * step
        for _ in range(wanted + size + 1):
            grid.append(at)
            at += step
        if run.jitter:
            grid[1:] = [at + self.chance.randint(-run.jitter, run.jitter) for at in grid[1:]]
        samples, bound = [], 0
        lengths = list(run.lengths)
        for i in itertools.count():
            sample = track.samples[i % size]
            if sample.key and i and (i - bound) / kind.fps >= lengths[0]:
                bound = i
                del lengths[0]
                if not lengths:
                    break
            dts = grid[i] - run.reorder * step
            pts = grid[rank[i % size] + i // size * size]
            samples.append(Sample(stamp(kind.codec, sample.data, next(self.stamps)), dts,
                                  grid[i + 1] - grid[i], pts - dts, sample.key))
        if run.cut:
            del samples[-run.cut:]
        numbers = [kind.number + rank[i % size] for i in range(len(samples))]
        return samples, numbers, grid[:len(samples) + 1]

    def _bounds(self, run, kind, pictures):
        """(first, behind the last) of each segment's pictures."""
        bounds = [0]
        for i, sample in enumerate(pictures):
            if sample.key and i and (i - bounds[-1]) / kind.fps >= run.lengths[len(bounds) - 1]:
                bounds.append(i)
        return list(itertools.pairwise([*bounds, len(pictures)]))

    def _sounds(self, run, tone, track, grid):
        """All audio samples of the run: (data, dts)."""
        if track is None:
            return []
        begin = (grid[0] / TIMESCALE + run.sound_late / 1000) * tone.rate
        until = grid[-1] * tone.rate / TIMESCALE
        found = []
        for k in itertools.count():
            dts = round(begin + k * tone.frame * (1 + run.sound_drift / 1e6))
            if dts >= until:
                return found
            at = dts / tone.rate - grid[0] / TIMESCALE
            # A loop does not begin with what the encoder puts before the sound.
            sample = track.samples[4 + k % (len(track.samples) - 6)]
            if dts >= 0 and not any(first <= at < last for first, last in run.silences):
                found.append((sample.data, dts))

    def _heard(self, sounds, tone, start, end):
        """What of the sound stands in a segment; its bounds are a packet's more or less."""
        if tone is None:
            return []
        first, last = (None if at is None else at * tone.rate // TIMESCALE for at in (start, end))
        mine = [(data, dts) for data, dts in sounds
                if (first is None or dts >= first) and (last is None or dts < last)]
        return [Sample(data, dts, tone.frame, 0, True) for data, dts in mine]

    def _fragments(self, tracks, pictures, sounds):
        """A segment's fragments: half a second each, or up to the next key frame."""
        groups, since = [], None
        for sample in pictures:
            if not groups or sample.key or sample.dts - since >= FRAGMENT:
                groups.append([])
                since = sample.dts
            groups[-1].append(sample)
        rest = list(sounds)
        for number, group in enumerate(groups, 1):
            behind = group[-1].dts + group[-1].duration
            heard = []
            while rest and (number == len(groups) or
                            rest[0].dts * TIMESCALE < behind * tracks["audio"].timescale):
                heard.append(rest.pop(0))
            pieces = [(tracks["video"], group)]
            if heard:
                # Inside a fragment a sample lasts until the next one.
                heard = [Sample(a.data, a.dts, b.dts - a.dts if b else a.duration, 0, True)
                         for a, b in zip(heard, [*heard[1:], None])]
                pieces.append((tracks["audio"], heard))
            yield fragments.fragment(number, pieces)


# --- Archives


def mark_volume(path, number):
    """Makes a folder a volume."""
    path.mkdir(parents=True, exist_ok=True)
    (path / ".keepframe-volume").write_text(f"00000000-0000-4000-8000-{number:012}\n")


def seal(sealer, segments, volumes, env=None):
    """Puts copies of the segments into the volumes, in turn, as the indexer would have."""
    lines = []
    for index, segment in enumerate(segments):
        volume = volumes[index % len(volumes)]
        copy = volume / f".{segment.path.name}"
        copy.write_bytes(segment.path.read_bytes())
        lines.append(f"{copy} {volume} {segment.id} {segment.start_us} {segment.end_us}\n")
    subprocess.run([sealer], input="".join(lines), text=True, check=True, env=env)


class Feed:
    """Writes a run into a cache at the pace of a recorder, and leaves its last file open."""

    def __init__(self, cache, segments):
        run = segments[0].run
        self.folder = Path(cache) / run.camera / run.stream
        self.folder.mkdir(parents=True, exist_ok=True)
        self.number = run_number(run)
        self.segments = segments
        self.file = None
        story = {"version": 1, "camera": run.camera, "stream": run.stream, "run": self.number,
                 "node": "attic", "start_us": self.number * 1000, "end_us": None, "reason": None,
                 "detail": None}
        (self.folder / f"{self.number}.json").write_text(json.dumps(story))

    def run(self):
        """Until the last fragment is written. What of the last file was not written yet would come
        next: a real recorder's is never whole."""
        begin = time.monotonic()
        first_us = self.segments[0].start_us
        for segment in self.segments:
            self.close()
            data = segment.path.read_bytes()
            name = f"{self.number}-{segment.number:06}.mp4"
            self.file = open(self.folder / name, "wb", buffering=0)
            head = len(fragments.head(data))
            self.file.write(data[:head])
            places = [start - 8 for kind, start, _ in fragments.boxes(data) if kind == "moof"]
            for at, (start, end) in enumerate(itertools.pairwise([*places, len(data)]), 1):
                due_us = segment.start_us - first_us + \
                    (segment.end_us - segment.start_us) * at // len(places)
                time.sleep(max(begin + due_us / 1e6 - time.monotonic(), 0))
                self.file.write(data[start:end])

    def close(self):
        if self.file:
            self.file.close()
            self.file = None
