"""Any range to the millisecond: the first frame shown is the one on screen at `start`, and the
presentation lasts `end - start`."""

import pytest

import media
from model import Footage, shown_packets
from times import format_utc, parse_utc

RANGES = 50
BEND = 500e-6  # by so much wall time may differ from the camera's
MARGIN_US = 5_000  # five seconds of that, twice
SETTLED_US = 12_000_000  # with audio, ffmpeg moves a track in the first seconds of a run


@pytest.fixture(scope="module")
def footages(recording):
    return {name: Footage(recording.keepframe, name) for name in recording.mounts if name != "live"}


def random_span(footage, chance, settled):
    """A start and an end on whole milliseconds, from a frame or two up to everything."""
    first_ms = footage.start_us // 1000 + 1 + (SETTLED_US // 1000 if settled else 0)
    last_ms = footage.end_us // 1000
    start_ms = chance.randrange(first_ms, last_ms - 100)
    longest = chance.choice([200, 2000, last_ms - start_ms])
    length_ms = chance.randint(80, max(81, min(longest, last_ms - start_ms)))
    return start_ms * 1000, min(start_ms + length_ms, last_ms) * 1000


def check_frames(footage, start_us, end_us, shown):
    """The frames shown are those on screen in [start, end), no other and all of them, each when it
    was on screen."""
    firsts, lasts = (range(footage.index_at(moment_us - MARGIN_US),
                           footage.index_at(moment_us + MARGIN_US) + 1)
                     for moment_us in (start_us, end_us))
    hashes = [frame.hash for frame in footage.frames]
    got = [packet.hash for packet in shown]
    assert got[0] in hashes, "the first frame shown is none of the footage's"
    first = hashes.index(got[0])
    assert first in firsts, f"frame {first} is shown first, not {list(firsts)}"
    assert got == hashes[first:first + len(got)], "frames are missing, doubled or reordered"
    # The frame that begins at `end` itself is not shown: it may be the margin's first.
    last = first + len(got) - 1
    assert last in lasts or last + 1 in lasts, f"frame {last} is shown last, not {list(lasts)}"
    for packet, frame in zip(shown, footage.frames[first:]):
        at_us = frame.start_us - footage.frames[first].start_us
        assert abs((packet.pts - shown[0].pts) * 1e6 - at_us) <= 2 * MARGIN_US, \
            f"a frame is shown at {packet.pts}, not at {at_us} us"


@pytest.mark.parametrize("name", ["silent", "bframes", "avc", "hevc"])
def test_50_random_ranges_show_what_was_on_screen(recording, footages, name, chance, tmp_path):
    footage = footages[name]
    sound = Footage(recording.keepframe, name, "audio") if recording.mounts[name].audio else None
    for number in range(RANGES):
        start_us, end_us = random_span(footage, chance, settled=sound is not None)
        answer = recording.keepframe.download(
            name, start=format_utc(start_us), end=format_utc(end_us)).expect(200)
        path = tmp_path / "range.mp4"
        path.write_bytes(answer.body)
        try:
            check_frames(footage, start_us, end_us, shown_packets(path))
            check_edits(media.Movie(answer.body), footage, sound, start_us, end_us)
            check_headers(answer, footage, start_us, end_us)
        except AssertionError as error:
            raise AssertionError(f"{name}, range {number}: start={format_utc(start_us)} "
                                 f"end={format_utc(end_us)}: {error}") from error


def check_edits(movie, footage, sound, start_us, end_us):
    """The edit lists by themselves, without ffmpeg's opinion of them: how long it plays."""
    video, audio = movie.track("video"), movie.track("audio")
    begin, _ = video.shown_ticks()
    assert begin in {sample.pts for sample in video.samples}, "the edit begins inside a frame"
    length_us = end_us - start_us
    # Where a run was cut inside a group of B-frames, a frame stays on screen for three.
    ends = [footage.frames[footage.index_at(moment_us)] for moment_us in (start_us, end_us)]
    frame_us = max(frame.end_us - frame.start_us for frame in ends)
    assert abs(video.length_s() * 1e6 - length_us) <= frame_us + length_us * BEND, \
        "the presentation's length"
    assert video.delay_s() == 0, "the picture begins late"
    assert (audio is not None) == (sound is not None)
    if audio:
        lacking_s = max(end_us - sound.end_us, 0) / 1e6  # the last of it came before the picture's
        sound_s = audio.delay_s() + audio.length_s()
        assert abs(sound_s + lacking_s - video.length_s()) <= 2 * 1024 / 48000 + 0.005, \
            "the sound's length"


def check_headers(answer, footage, start_us, end_us):
    first = footage.frames[footage.index_at(start_us)]
    said = parse_utc(answer.headers["X-Keepframe-Start"])
    assert abs(said - first.start_us) <= MARGIN_US or abs(said - start_us) <= MARGIN_US, \
        "X-Keepframe-Start"
    assert abs(parse_utc(answer.headers["X-Keepframe-End"]) - end_us) <= footage.frame_us()


@pytest.mark.parametrize("name", ["avc", "bframes", "hevc"])
def test_the_sound_of_a_range_is_what_was_heard(recording, footages, name, chance, tmp_path):
    sound = Footage(recording.keepframe, name, "audio")
    hashes = [frame.hash for frame in sound.frames]
    for number in range(10):
        start_us, end_us = random_span(footages[name], chance, settled=True)
        end_us = max(end_us, start_us + 500_000)
        answer = recording.keepframe.download(
            name, start=format_utc(start_us), end=format_utc(end_us)).expect(200)
        path = tmp_path / "range.mp4"
        path.write_bytes(answer.body)
        got = [packet.hash for packet in shown_packets(path, "audio")]
        # The tone repeats, so a frame is looked for where it should be.
        at = sound.index_at(start_us)
        near = [index for index in range(max(at - 3, 0), at + 4) if index < len(hashes)
                and hashes[index:index + len(got)] == got]
        assert near, f"{name}, range {number}: other sound than was heard at {format_utc(start_us)}"
        first = sound.frames[near[0]].start_us
        # Video begins with the frame on screen at `start`, sound with it.
        assert -60_000 <= start_us - first <= 100_000, f"{name}, range {number}"


def test_every_download_of_a_range_plays_to_its_end(recording, footages, chance, tmp_path):
    for name, footage in footages.items():
        start_us, end_us = random_span(footage, chance, recording.mounts[name].audio)
        answer = recording.keepframe.download(
            name, start=format_utc(start_us), end=format_utc(max(end_us, start_us + 1_000_000)))
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(answer.expect(200).body)
        assert media.decode_complaints(path) == ""
