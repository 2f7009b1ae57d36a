"""Key frames alone: /frame gives the one at or before a moment, /timelapse a range of them. What is
expected follows from the recorded segments themselves."""

import re

import pytest

import expected
import media
import picture
from browser import Browser, Player
from footage import video
from times import format_utc, parse_utc

FPS = 25


class Key:
    """A key frame as it was recorded."""

    def __init__(self, source, packet, number):
        self.source = source
        self.data = packet.data
        self.hash = packet.hash
        self.time_us = source.wall_time(packet.pts)
        self.number = number


def keys_of(source):
    return [Key(source, packet, number)
            for packet, number in zip(source.video, source.segment.numbers) if packet.key]


def at_or_before(sources, time_us):
    found = [key for source in sources for key in keys_of(source) if key.time_us <= time_us]
    return max(found, key=lambda key: key.time_us, default=None)


def chosen(sources, start_us, end_us, speed):
    """(key frame, moments) of a time-lapse: at each 25th of a second what was on screen last."""
    step_us = speed * 1_000_000 // FPS
    frames, covered_us, before, moment = [], 0, None, 0
    for source in sources:
        first_us, last_us = max(source.start_us, start_us), min(source.end_us, end_us)
        keys = keys_of(source)
        while first_us < last_us and moment * step_us < covered_us + last_us - first_us:
            now_us = first_us + moment * step_us - covered_us
            here = [key for key in keys if key.time_us <= now_us]
            key = here[-1] if here else before or keys[0]
            if frames and frames[-1][0].data == key.data:
                frames[-1][1] += 1
            else:
                frames.append([key, 1])
            moment += 1
        covered_us += max(last_us - first_us, 0)
        before = keys[-1] if keys else before
    return frames


def plain(mixed, camera):
    """The first segments of a camera, up to where another codec begins or two overlap, and the
    moment until which there is nothing else."""
    found = []
    for source in mixed.sources[camera]:
        if found and (source.video_entry[4:8] != found[0].video_entry[4:8] or
                      source.start_us < found[-1].end_us):
            return found, min(source.start_us, found[-1].end_us)
        found.append(source)
    return found, found[-1].end_us


def timelapse(mixed, camera, headers=None, method="GET", **params):
    return mixed.keepframe.http(method, f"/timelapse/{camera}/main.mp4", params, headers)


def frame(mixed, camera, time_us, headers=None, method="GET", **params):
    return mixed.keepframe.http(method, f"/frame/{camera}/main.mp4",
                                {"t": format_utc(time_us), **params}, headers)


END_OF_SEQUENCE = bytes.fromhex("000000024801")  # of H.265, behind its length


def with_sets(frames):
    """The samples: with their parameter sets where those change in the file; of H.265 several have
    the end of the sequence before them."""
    sets = [expected.parameter_sets(key.source.video_entry) for key, _ in frames]
    changes = len(set(sets)) > 1
    end = END_OF_SEQUENCE if len(frames) > 1 and \
        frames[0][0].source.video_entry[4:8] == b"hvc1" else b""
    return [end + own + key.data if changes and not expected.carries_sets(
                key.source.video_entry[4:8], key.data) else end + key.data
            for (key, _), own in zip(frames, sets)]


def complaints(path, frames):
    """What a decoder complains about. Of H.264 with open groups of pictures it may give the frames in another
    order, as docs/api.md says: their numbers go on from frames that are not there."""
    lines = media.decode_complaints(path).splitlines()
    if any(video(key.source.segment.run.video).open_gop for key, _ in frames):
        lines = [line for line in lines if "non monotonically increasing dts" not in line]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def page(mixed):
    with Browser(mixed.lab) as browser:
        yield browser.open(mixed.keepframe.url("/api/v1/cameras"))


# --- One frame


@pytest.mark.parametrize("camera", ["avc", "hevc", "av1", "joins"])
def test_the_frame_is_the_last_key_frame_at_or_before(mixed, camera, tmp_path):
    sources = mixed.sources[camera]
    for time_us in (sources[0].start_us, sources[1].start_us + 1_234_567,
                    sources[-1].start_us + 999_999, sources[-1].end_us + 3_000_000):
        key = at_or_before(sources, time_us)
        answer = frame(mixed, camera, time_us).expect(200)
        # Between a segment's ends the model bends time by less where frames are reordered.
        assert abs(parse_utc(answer.headers["X-Keepframe-Time"]) - key.time_us) < 1000
        assert int(answer.headers["Content-Length"]) == len(answer.body)
        movie = media.Movie(answer.body)
        (sample,) = movie.track("video").samples
        assert movie.bytes_of(sample) == key.data
        path = tmp_path / "frame.mp4"
        path.write_bytes(answer.body)
        assert media.decode_complaints(path) == ""
        kind = video(key.source.segment.run.video)
        assert picture.frames(path, kind.width) == [(0.0, key.number)]


def test_before_a_gap_a_frame_is_found_only_so_far_back(mixed):
    sources = mixed.sources["joins"]
    gap = mixed.begins["gap"]
    key = at_or_before(sources, gap - 1)
    assert gap - key.time_us > 300_000_000
    error = frame(mixed, "joins", gap - 1).expect(404).json["error"]
    assert error["code"] == "no_footage"
    answer = frame(mixed, "joins", gap - 1, within="10m").expect(200)
    assert parse_utc(answer.headers["X-Keepframe-Time"]) == key.time_us
    behind_us = gap - 1 - key.time_us
    assert frame(mixed, "joins", gap - 1, within=f"{behind_us / 1e6:.6f}").status == 200
    assert frame(mixed, "joins", gap - 1, within=f"{(behind_us - 1) / 1e6:.6f}").status == 404
    assert frame(mixed, "joins", sources[0].start_us - 1).status == 404
    assert frame(mixed, "joins", gap, within="2d").expect(400).json["error"]["field"] == "within"
    assert mixed.keepframe.http("GET", "/frame/joins/main.mp4").expect(400).json["error"][
        "field"] == "t"


def test_a_frame_is_tagged_and_lasts(mixed):
    at = mixed.sources["avc"][0].start_us + 1_500_000
    first, later = frame(mixed, "avc", at).expect(200), frame(mixed, "avc", at + 1).expect(200)
    assert first.headers["ETag"] == later.headers["ETag"] and first.body == later.body
    assert "max-age=3600" in first.headers["Cache-Control"]
    assert frame(mixed, "avc", at, {"If-None-Match": first.headers["ETag"]}).status == 304
    part = frame(mixed, "avc", at, {"Range": "bytes=-10"}).expect(206)
    assert part.body == first.body[-10:]
    other = frame(mixed, "avc", mixed.sources["avc"][-1].end_us).expect(200)
    assert other.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("camera", ["joins", "av1"])
def test_chromium_shows_the_frame(mixed, page, camera):
    source = mixed.sources[camera][1]
    key = at_or_before(mixed.sources[camera], source.start_us + 1_500_000)
    params = {"t": format_utc(source.start_us + 1_500_000)}
    player = Player(page, mixed.keepframe.url(f"/frame/{camera}/main.mp4", params))
    assert player.number() == key.number
    player.close()


# --- Time-lapse


@pytest.mark.parametrize("camera, speed", [
    ("joins", 1), ("joins", 7), ("joins", 60), ("avc", 10), ("avc", 100_000), ("hevc", 25),
    ("av1", 50)])
def test_a_timelapse_shows_what_was_on_screen_last(mixed, camera, speed, tmp_path):
    sources, end_us = plain(mixed, camera)
    start_us, end_us = sources[0].start_us + 333_333, end_us - 111_111
    wanted = chosen(sources, start_us, end_us, speed)
    answer = timelapse(mixed, camera, start=format_utc(start_us), end=format_utc(end_us),
                       speed=speed).expect(200)
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    movie = media.Movie(answer.body)
    track = movie.track("video")
    assert [movie.bytes_of(sample) for sample in track.samples] == with_sets(wanted)
    assert [sample.duration for sample in track.samples] == \
        [moments * track.timescale // FPS for _, moments in wanted]
    assert all(sample.key and sample.pts == sample.dts for sample in track.samples)
    entries = [track.entry_boxes[sample.entry] for sample in track.samples]
    assert entries == [key.source.video_entry for key, _ in wanted]
    path = tmp_path / "timelapse.mp4"
    path.write_bytes(answer.body)
    assert complaints(path, wanted) == ""
    packets = media.packets(path)
    assert [packet.hash for packet in packets] == [expected.md5(data) for data in with_sets(wanted)]
    head = timelapse(mixed, camera, method="HEAD", start=format_utc(start_us),
                     end=format_utc(end_us), speed=speed).expect(200)
    assert head.headers["Content-Length"] == answer.headers["Content-Length"]
    assert head.headers["ETag"] == answer.headers["ETag"]
    part = timelapse(mixed, camera, {"Range": "bytes=1000-1999"}, start=format_utc(start_us),
                     end=format_utc(end_us), speed=speed).expect(206)
    assert part.body == answer.body[1000:2000]


def test_chromium_plays_a_timelapse_over_other_picture_sizes(mixed, page):
    sources, end_us = plain(mixed, "joins")
    wanted = chosen(sources, sources[0].start_us, end_us, 5)
    params = {"start": format_utc(sources[0].start_us), "end": format_utc(end_us), "speed": 5}
    player = Player(page, mixed.keepframe.url("/timelapse/joins/main.mp4", params))
    length = sum(moments for _, moments in wanted) / FPS
    assert player.state()["duration"] == pytest.approx(length, abs=0.001)
    at, places = 0, []
    for key, moments in wanted:
        places.append((at / FPS, key))
        at += moments
    for begin, key in places[::-4]:
        player.seek(begin + 0.01)
        kind = video(key.source.segment.run.video)
        state = player.state()
        assert (player.number(), state["width"], state["height"]) == \
            (key.number, kind.width, kind.height), f"at {begin} s"
    player.seek(0)
    shown = player.play(rate=4)
    assert player.state()["ended"] and len(shown) > 2
    assert page.problems() == []
    player.close()


def test_a_timelapse_that_can_not_be_is_refused_by_name(mixed):
    sources = mixed.sources["changing"]
    whole = {"start": format_utc(sources[0].start_us), "end": format_utc(sources[-1].end_us)}
    families = {source.video_entry[4:8] for source in sources}
    if len(families) > 1:
        error = timelapse(mixed, "changing", speed=10, **whole).expect(409).json["error"]
        assert error["code"] == "codec_change"
    for params, field in (({**whole}, "speed"), ({**whole, "speed": 0}, "speed"),
                          ({**whole, "speed": 100_001}, "speed"), ({"speed": 5}, "start"),
                          ({"start": whole["start"], "speed": 5}, "end")):
        assert timelapse(mixed, "changing", **params).expect(400).json["error"]["field"] == field
    joins = mixed.sources["joins"]
    gap = {"start": format_utc(joins[0].start_us),
           "end": format_utc(mixed.begins["gap"] + 1_000_000), "speed": 5}
    assert timelapse(mixed, "joins", gaps="fail", **gap).expect(409).json["error"]["code"] == "gaps"
    assert re.fullmatch(r"inline; filename=\"joins_main_[-_0-9]{19}Z_\d+s_x5\.mp4\"", timelapse(
        mixed, "joins", **gap).expect(200).headers["Content-Disposition"])
