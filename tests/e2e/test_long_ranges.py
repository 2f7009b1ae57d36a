"""Hours and days in one file: exact sizes, and sound that stays with its picture."""

import time

import pytest

import exact
import expected
import media
from footage import Run
from lab import Lab
from mixed import DAY, Filled
from times import format_utc

MINUTE = 60_000_000
PARTS = 720  # of a month: a minute each hour


@pytest.fixture(scope="module")
def filled(build):
    """An hour in one run, whose sound drifts and has holes; and a month of single minutes."""
    lab = Lab(build)
    try:
        filled = Filled(lab, 1)
        start_us = time.time_ns() // 1000 - 30 * DAY
        segments = filled.recorder.write(Run(
            "hour", start_us, "slow", "mono8", (60,) * 61, bend=100, sound_late=40, sound_drift=60,
            silences=((70, 70.2), (600, 640), (1800, 1800.15), (3000, 3075))))
        for part in range(PARTS):
            segments += filled.recorder.write(
                Run("month", start_us + part * 60 * MINUTE, "still", None, (60,)))
        filled.fill(segments)
        yield filled
    finally:
        lab.close()


def test_a_month_has_the_announced_size(filled):
    sources = filled.sources["month"]
    params = {"start": format_utc(sources[0].start_us), "end": format_utc(sources[-1].end_us)}
    keepframe = filled.keepframe
    head = keepframe.download("month", method="HEAD", **params).expect(200)
    whole = keepframe.download("month", **params).expect(200)
    assert int(head.headers["Content-Length"]) == len(whole.body)
    track = media.Movie(whole.body).track("video")
    wanted = [packet for source in sources for packet in source.video]
    movie = media.Movie(whole.body)
    assert [movie.hash_of(sample) for sample in track.samples] == [p.hash for p in wanted]
    assert track.length_s() == pytest.approx(PARTS * 60, abs=0.001)
    tail = keepframe.download("month", headers={"Range": "bytes=-1000"}, **params).expect(206)
    assert tail.body == whole.body[-1000:]


def test_an_hour_is_exact_and_its_sound_stays_with_its_picture(filled, tmp_path):
    sources = filled.sources["hour"]
    start_us, end_us = sources[0].start_us + 1_234_567, sources[-1].end_us - 2_000_000
    assert end_us - start_us > 3600 * 1_000_000
    path = tmp_path / "hour.mp4"
    exact.check(filled.keepframe, "hour", sources, start_us, end_us,
                {"audio": 1, "start_at": "exact"}, path)
    movie = media.Movie(path)
    video, audio = movie.track("video"), movie.track("audio")
    # Where each recorded packet of sound stands beside the picture, in the run and in the file.
    picture = video.shown_ticks()[0]
    first = next(p for source in sources for p in source.video
                 if p.hash == movie.hash_of(next(s for s in video.samples if s.pts == picture)))
    silence = expected.md5(expected.SILENCE[b"mp4a", 1])
    begin, _ = audio.shown_ticks()
    got = [(sample.pts - begin) / audio.timescale + audio.delay_s() for sample in audio.samples
           if movie.hash_of(sample) != silence]
    sent = [p.dts / audio.timescale - first.pts / video.timescale
            for source in sources for p in source.audio]
    sent = [at for at in sent if at > -1024 / 8000][:len(got)]
    assert len(got) > 27_000
    worst = max(abs(one - other) for one, other in zip(got, sent))
    print(f"sound is {worst * 1000:.3f} ms from its picture at most; "
          f"{1000 * abs(got[0] - sent[0]):.3f} ms at the start, "
          f"{1000 * abs(got[-1] - sent[-1]):.3f} ms after {got[-1]:.0f} s")
    assert worst < 0.010


@pytest.mark.parametrize("speed", [60, 2500, 100_000])
def test_a_timelapse_of_a_month_has_the_announced_size(filled, speed):
    sources = filled.sources["month"]
    params = {"start": format_utc(sources[0].start_us), "end": format_utc(sources[-1].end_us),
              "speed": speed}
    head = filled.keepframe.http("HEAD", "/timelapse/month/main.mp4", params).expect(200)
    whole = filled.keepframe.get("/timelapse/month/main.mp4", params).expect(200)
    assert int(head.headers["Content-Length"]) == len(whole.body)
    movie = media.Movie(whole.body)
    # One key frame a minute, and a minute each hour.
    keys = [packet.hash for source in sources for packet in source.video if packet.key]
    assert len(keys) == PARTS
    moments = -(-PARTS * 60 * 25 // speed)
    shown = [keys[moment * speed // (60 * 25)] for moment in range(moments)]
    wanted = [key for key, before in zip(shown, [None, *shown]) if key != before]
    samples = movie.track("video").samples
    assert [movie.hash_of(sample) for sample in samples] == wanted
    assert sum(sample.duration for sample in samples) == moments * 3600
