"""Ranges over several runs: gaps, another picture size, another codec; and names in local time."""

import re
import signal
import time
from dataclasses import replace

import pytest

import media
from archive import put_run, wait_filed
from camera import Mount
from times import format_utc, parse_utc

SMALL = Mount("small", bframes=2)
LARGE = Mount("large", width=640, height=360)
OTHER = Mount("other", codec="h265")


@pytest.fixture(scope="module")
def changing(build):
    """A camera whose stream was small, then, after a gap, large, then of another codec, and is not
    recorded any more; and the rows of the three runs."""
    from lab import Lab
    lab = Lab(build)
    try:
        yield _record(lab)
    finally:
        lab.close()


def _record(lab):
    camera = lab.camera(SMALL, LARGE, OTHER)
    keepframe = lab.keepframe()
    keys = {"segment": "2s"}

    def record(mount):
        keepframe.configure({"one": {**keys, "url": camera.url(mount.name)}})
        if keepframe.process:
            keepframe.send(signal.SIGHUP)
        else:
            keepframe.start().wait_ready()
        before = keepframe.segments("one")
        keepframe.wait_sealed("one", 2, after=before[-1] if before else None)

    def rest():
        keepframe.configure({"one": {**keys, "url": camera.url("small"), "enabled": False}})
        keepframe.send(signal.SIGHUP)
        keepframe.wait_for("it is stopped", lambda: not keepframe.recorder_pid("one"))
        keepframe.wait_for("all is sealed", lambda: not keepframe.cache_files("one"))

    record(SMALL)
    rest()
    record(LARGE)
    record(OTHER)
    rest()
    rows = keepframe.sealed("one")
    runs = [[row for row in rows if row.run == run] for run in sorted({row.run for row in rows})]
    assert len(runs) == 3
    return keepframe, runs


def span(*runs):
    return {"start": format_utc(runs[0][0].start_us), "end": format_utc(runs[-1][-1].end_us)}


def test_a_gap_is_left_out_and_nothing_else(changing, tmp_path):
    keepframe, (small, large, _) = changing
    answer = keepframe.download("one", **span(small, large)).expect(200)
    path = tmp_path / "both.mp4"
    path.write_bytes(answer.body)
    segments = [packet for row in small + large
                for packet in media.frame_hashes(keepframe.segment_file(row))]
    assert media.frame_hashes(path) == segments
    assert media.decode_complaints(path) == ""
    covered_s = sum(row.end_us - row.start_us for row in small + large) / 1e6
    assert media.Movie(path).track("video").length_s() == pytest.approx(covered_s, abs=0.1)


def test_two_picture_sizes_stand_in_one_file(changing, tmp_path):
    keepframe, (small, large, _) = changing
    answer = keepframe.download("one", **span(small, large)).expect(200)
    assert media.Movie(answer.body).track("video").entries == ["avc1", "avc1"]
    path = tmp_path / "both.mp4"
    path.write_bytes(answer.body)
    done = media.run("ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
                     "frame=width,height", "-of", "csv=p=0", path)
    sizes = [line.strip(",") for line in done.stdout.decode().split()]
    pictures = [row.track("video")["samples"] for row in small], \
        [row.track("video")["samples"] for row in large]
    assert sizes == ["320,180"] * sum(pictures[0]) + ["640,360"] * sum(pictures[1])


def test_gaps_fail_names_the_gaps(changing):
    keepframe, (small, large, _) = changing
    error = keepframe.download("one", **span(small, large), gaps="fail").expect(409).json["error"]
    assert error["field"] == "gaps"
    (gap,) = error["ranges"]
    assert parse_utc(gap["start"]) == small[-1].end_us
    assert parse_utc(gap["end"]) == large[0].start_us
    for run in (small, large):
        assert keepframe.download("one", **span(run), gaps="fail").status == 200


def test_a_range_inside_a_gap_is_404(changing):
    keepframe, (small, large, _) = changing
    params = {"start": format_utc(small[-1].end_us + 1000),
              "end": format_utc(large[0].start_us - 1000)}
    assert keepframe.download("one", **params).expect(404).json["error"]["code"] == "no_footage"


def test_a_range_that_begins_in_a_gap_begins_with_the_next_frame(changing):
    keepframe, (small, large, _) = changing
    answer = keepframe.download("one", start=format_utc(small[-1].end_us + 1000),
                                end=format_utc(large[0].end_us)).expect(200)
    assert parse_utc(answer.headers["X-Keepframe-Start"]) == large[0].start_us
    movie = media.Movie(answer.body)
    first = media.Movie(keepframe.segment_file(large[0]))
    assert movie.hash_of(movie.track("video").samples[0]) == \
        first.hash_of(first.track("video").samples[0])


def test_runs_that_overlap_are_played_one_after_the_other(lab):
    """Two runs of the same moments: every frame once, run by run."""
    keepframe = lab.keepframe().configure({})
    now = time.time_ns() // 1_000_000
    for run, corpus in ((now, "h264"), (now + 1, "h264-b-aac")):
        put_run(keepframe, "yard", corpus, run)
    keepframe.start().wait_ready()
    wait_filed(keepframe, "yard")
    rows = keepframe.sealed("yard")
    runs = list(dict.fromkeys(row.run for row in rows))  # by their beginning
    by_run = sorted(rows, key=lambda row: (runs.index(row.run), row.number))
    assert rows != by_run, "they do not overlap"
    body = keepframe.download("yard", start=format_utc(rows[0].start_us),
                              end=format_utc(max(row.end_us for row in rows))).expect(200).body
    expected = [picture for row in by_run
                for picture in media.picture_hashes(keepframe.segment_file(row), "h264")]
    assert media.picture_hashes(body, "h264") == expected


def test_another_codec_is_409_with_the_parts_that_can_be_asked_for(changing):
    keepframe, (small, large, other) = changing
    error = keepframe.download("one", **span(small, other)).expect(409).json["error"]
    parts = error["ranges"]
    assert [part["codec"][:4] for part in parts] == ["avc1", "hvc1"]
    assert parse_utc(parts[0]["start"]) == small[0].start_us
    assert parse_utc(parts[1]["end"]) == other[-1].end_us
    for part in parts:
        answer = keepframe.download("one", start=part["start"], end=part["end"]).expect(200)
        assert media.Movie(answer.body).track("video").samples


def test_the_map_tells_when_what_was_recorded(changing):
    keepframe, (small, large, _) = changing
    params = {**span(small, large), "start": format_utc(small[0].start_us + 700_000)}
    answer = keepframe.download("one", **params).expect(200)
    found = keepframe.get("/api/v1/cameras/one/main/map", params).expect(200).json
    assert found["bytes"] == len(answer.body) and found["cursor"] is None
    assert found["start"] == answer.headers["X-Keepframe-Start"]
    assert [piece["segment"] for piece in found["pieces"]] == [row.id for row in small + large]
    assert [piece["end"] for piece in found["pieces"]] == \
        [format_utc(row.end_us) for row in small + large]
    media_s = 0
    for piece in found["pieces"]:
        assert piece["media"] == pytest.approx(media_s, abs=0.05)
        media_s += (parse_utc(piece["end"]) - parse_utc(piece["start"])) / 1e6
    assert found["duration"] == pytest.approx(media_s, abs=0.05)
    (gap,) = found["gaps"]
    assert parse_utc(gap["start"]) == small[-1].end_us
    assert parse_utc(gap["end"]) == large[0].start_us
    skipped_ms = int(answer.headers["X-Keepframe-Skipped-Ms"])
    assert skipped_ms == pytest.approx((large[0].start_us - small[-1].end_us) / 1000, abs=200)
    # Page by page it is the same.
    pages, cursor = [], {}
    while cursor is not None:
        page = keepframe.get("/api/v1/cameras/one/main/map", {"limit": 1, **params, **cursor})
        pages.append(page.expect(200).json)
        cursor = pages[-1]["cursor"] and {"cursor": pages[-1]["cursor"]}
    for name in ("pieces", "gaps", "overlaps", "silence"):
        assert [one for page in pages for one in page[name]] == found[name]


def test_one_of_two_codecs_can_be_chosen(changing, tmp_path):
    keepframe, (small, large, other) = changing
    for codec, runs in (("h264", (small, large)), ("h265", (other,))):
        answer = keepframe.download("one", **span(small, other), codec=codec).expect(200)
        path = tmp_path / f"{codec}.mp4"
        path.write_bytes(answer.body)
        assert media.frame_hashes(path) == [
            packet for run in runs for row in run
            for packet in media.frame_hashes(keepframe.segment_file(row))]
    error = keepframe.download("one", **span(small, other), codec="h265", gaps="fail")
    assert error.expect(409).json["error"]["code"] == "gaps"
    error = keepframe.download("one", **span(small, other), codec="av1")
    assert error.expect(404).json["error"]["code"] == "no_footage"


def test_a_file_is_named_by_the_local_time_of_its_start(lab):
    camera = lab.camera(replace(SMALL, name="one"))
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}}, recording={"segment": "2s"})
    keepframe.start(env=lab.env(TZ="Asia/Kathmandu")).wait_ready()
    row = keepframe.wait_sealed("one", 1)[0]
    path = keepframe.segment_file(row)
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)_(\d\d)-(\d\d)-(\d\d)\.(\d{3})\+0545\.mp4", path.name)
    assert match, path.name
    day, hour, minute, second, millisecond = match.groups()
    named = parse_utc(f"{day}T{hour}:{minute}:{second}.{millisecond}000Z") \
        - (5 * 60 + 45) * 60 * 1_000_000
    assert 0 <= row.start_us - named < 1000 and path.parent.name == day
