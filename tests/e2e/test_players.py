"""Other people's readers play and seek over every kind of join: Chromium, GStreamer, mpv."""

import subprocess
from bisect import bisect_right

import pytest

import expected
import picture
from browser import Browser, Player
from footage import video
from times import format_utc


class Shown:
    """What a file of a camera of the mixed archive shows: (seconds, number, width, height) of each
    picture, and when each kind of join is reached."""

    def __init__(self, mixed, camera, start_us, end_us):
        sources = mixed.sources[camera]
        self.params = {"start": format_utc(start_us), "end": format_utc(end_us)}
        self.path = f"/video/{camera}/main.mp4"
        self.file = expected.expect(sources, start_us, end_us)
        pictures = {packet.data: (number, kind.width, kind.height)
                    for source in sources
                    for kind in [video(source.segment.run.video)]
                    for packet, number in zip(source.video, source.segment.numbers)}
        begin, end = self.file.shown
        self.pictures = sorted(((packet.pts - begin) / self.file.video_scale,
                                *pictures[packet.data])
                               for packet in self.file.video if begin <= packet.pts < end)
        self.length = (end - begin) / self.file.video_scale
        self.joins = {}
        for placed in self.file.placed:
            source = placed.source
            at = (source.begin + placed.origin - begin) / self.file.video_scale
            name = next((name for name, at_us in mixed.begins.items()
                         if at_us == source.start_us), source.id)
            self.joins[name] = at

    def at(self, seconds):
        return self.pictures[bisect_right(self.pictures, (seconds + 1e-6, 1 << 20)) - 1]


@pytest.fixture(scope="module")
def joins(mixed):
    """All joins; it begins with hidden frames."""
    sources = mixed.sources["joins"]
    return Shown(mixed, "joins", sources[0].start_us + 700_000, sources[-1].end_us - 500_000)


@pytest.fixture(scope="module")
def whole(mixed):
    """All joins from a key frame on: where frames are hidden, GStreamer's qtdemux ends too early by
    as much, at the next key frame."""
    sources = mixed.sources["joins"]
    return Shown(mixed, "joins", sources[0].start_us, sources[-1].end_us - 500_000)


@pytest.fixture(scope="module")
def file(mixed, whole, tmp_path_factory):
    path = tmp_path_factory.mktemp("joins") / "joins.mp4"
    path.write_bytes(mixed.keepframe.download("joins", **whole.params).expect(200).body)
    return path


@pytest.fixture(scope="module")
def uncut(mixed, tmp_path_factory):
    """Without the run that is cut off inside a group of pictures, over which mpv complains."""
    sources = [s for s in mixed.sources["joins"] if s.start_us < mixed.begins["long overlap"]]
    params = {"start": format_utc(sources[0].start_us),
              "end": format_utc(mixed.begins["long overlap"])}
    path = tmp_path_factory.mktemp("uncut") / "joins.mp4"
    path.write_bytes(mixed.keepframe.download("joins", **params).expect(200).body)
    return path


@pytest.fixture(scope="module")
def page(mixed):
    with Browser(mixed.lab) as browser:
        yield browser.open(mixed.keepframe.url("/api/v1/cameras"))


def test_chromium_shows_the_right_picture_wherever_it_seeks(mixed, joins, page):
    player = Player(page, mixed.keepframe.url(joins.path, joins.params))
    wrong = []
    for name, at in joins.joins.items():
        for seconds in (at + 0.02, at - 0.3, at + 1.5):
            if not 0 <= seconds < joins.length:
                continue
            _, number, width, height = joins.at(seconds)
            player.seek(seconds)
            state = player.state()
            got = player.number(), state["width"], state["height"]
            if got != (number, width, height):
                wrong.append((name, seconds, got, (number, width, height)))
    player.close()
    assert wrong == []


def test_chromium_plays_over_every_join(mixed, joins, page):
    player = Player(page, mixed.keepframe.url(joins.path, joins.params))
    assert abs(player.state()["duration"] - joins.length) < 0.05
    shown = player.play(rate=8)
    assert player.state()["ended"]
    times = [picture[0] for picture in joins.pictures]
    for one in shown:
        at, _, width, height = joins.at(one.time + 0.001)
        assert (one.width, one.height) == (width, height), f"a picture of another size: {one}"
        assert abs(one.time - at) < 0.002, f"{one} is none of the file's pictures"
    assert len(shown) > len(times) / 16 and shown[-1].time > times[-1] - 0.5
    assert page.problems() == []
    player.close()


def test_gstreamer_shows_every_picture(whole, file, tmp_path):
    raw = tmp_path / "pictures"
    done = subprocess.run(
        ["gst-launch-1.0", "-q", "filesrc", f"location={file}", "!", "qtdemux", "name=demux",
         "demux.video_0", "!", "queue", "!", "h264parse", "!", "avdec_h264", "!", "videoconvert",
         "!", "video/x-raw,format=GRAY8", "!", "filesink", f"location={raw}",
         "demux.audio_0", "!", "queue", "!", "aacparse", "!", "avdec_aac", "!", "fakesink"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "ERROR" not in done.stderr, done.stderr
    data, at, got = raw.read_bytes(), 0, []
    for _, _, width, height in whole.pictures:
        got.append(picture.band_number(data[at:at + width * height], width))
        at += width * height
    assert got == [number for _, number, _, _ in whole.pictures]
    assert at == len(data), "it shows more pictures"


@pytest.mark.parametrize("start", [0, 21])
def test_mpv_plays_and_seeks(uncut, start):
    done = subprocess.run(
        ["mpv", "--no-config", "--vo=null", "--ao=null", "--untimed", "--speed=20",
         "--audio-pitch-correction=no", f"--start={start}", "--msg-level=all=warn",
         "--no-input-terminal", str(uncut)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout + done.stderr == ""
