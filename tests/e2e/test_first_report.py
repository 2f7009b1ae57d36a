"""The camera's first sender report comes seconds into a run, and the recorder moves one track by what it says. What is
filed and played does not show it: both tracks are even and in step from the first sample."""

import pytest

import media
from camera import Mount
from lab import Lab

LATE_S = 33 * 1024 / 48000  # the first whole frames of sound that begin 0.7 s after the picture
SILENT = dict(audio=True, audio_late=700, report=3000, length=60, bitrate=100)
MOUNTS = {mount.name: mount for mount in [
    Mount("audio", **SILENT, reporter="video"),
    Mount("audio-b", **SILENT, reporter="video", bframes=2),
    Mount("video", **SILENT, reporter="audio"),
    Mount("video-b", **SILENT, reporter="audio", bframes=2),
]}


@pytest.fixture(scope="module")
def keepframe(build):
    """One recording for all tests of this file."""
    lab = Lab(build)
    camera = lab.camera(*MOUNTS.values())
    keepframe = lab.keepframe()
    keepframe.configure({name: {"url": camera.url(name)} for name in MOUNTS}, recording={"segment": "2s"})
    keepframe.start().wait_ready()
    for name in MOUNTS:
        keepframe.wait_sealed(name, 6)
    yield keepframe
    lab.close()


def assert_even(times, spacing, odd=0):
    spaces = [later - earlier for earlier, later in zip(times, times[1:])]
    assert sum(abs(space - spacing) > 0.001 for space in spaces) <= odd


@pytest.mark.parametrize("name", MOUNTS)
def test_every_file_is_even_and_plays(keepframe, name):
    rows = keepframe.sealed(name)
    for row in rows:
        path = keepframe.segment_file(row)
        complaints = media.decode_complaints(path).splitlines()
        # Squeezed frames with reordering lose their order: two may share a moment, which ffmpeg's
        # null muxer minds.
        assert [line for line in complaints if name != "video-b" or "monotonically" not in line] == []
        movie = media.Movie(path)
        for kind, spacing in [("video", 0.04), ("audio", 1024 / 48000)]:
            track = movie.track(kind)
            for sample in track.samples[:-1]:
                assert sample.duration / track.timescale == pytest.approx(spacing, abs=0.0005)
    assert [later.start_us - earlier.end_us for earlier, later in zip(rows, rows[1:])] == pytest.approx(
        [0] * (len(rows) - 1), abs=100)
    first = media.Movie(keepframe.segment_file(rows[0]))
    delay = first.track("audio").delay_s() - first.track("video").delay_s()
    assert delay == pytest.approx(LATE_S, abs=0.002)


@pytest.mark.parametrize("name", MOUNTS)
def test_a_download_is_in_step(keepframe, name):
    rows = keepframe.sealed(name)
    answer = keepframe.download(name, start=rows[0].start_us / 1e6, end=f"{rows[5].end_us / 1e6:.6f}").expect(200)
    movie = media.Movie(answer.body)
    tracks = {kind: [(at + movie.track(kind).delay_s()) for _, at in movie.track(kind).shown()]
              for kind in ["video", "audio"]}
    # Where squeezed frames begin and end, some of those that lost their order share a moment.
    assert_even(tracks["video"], 0.04, 6 if name == "video-b" else 0)
    assert_even(tracks["audio"], 1024 / 48000)
    # Before the first recorded sound there is made silence.
    recorded = {packet for row in rows[:6]
                for packet in media.frame_hashes(keepframe.segment_file(row), "audio")}
    heard = [at + movie.track("audio").delay_s() for sample, at in movie.track("audio").shown()
             if movie.hash_of(sample) in recorded]
    assert heard[0] - tracks["video"][0] == pytest.approx(LATE_S, abs=0.002)


def test_it_is_counted(keepframe):
    status = keepframe.ask_indexer("status")["result"]
    assert status["mended"] >= len(MOUNTS)
    assert 10 <= status["disordered_frames"] <= 40
    assert not keepframe.catalog("SELECT * FROM epoch")
    assert [row[0] for row in keepframe.catalog("SELECT DISTINCT substr(mend, 1, 5) FROM run ORDER BY 1")] == [
        "audio", "video"]
