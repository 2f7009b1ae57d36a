"""A download behaves like a file: size, byte ranges, validators, and errors that name the fault."""

import pytest

import media
from archive import indexer
from exact import check, random_span
from expected import Recorded, Source
from model import Footage
from times import format_utc, parse_utc


@pytest.fixture(scope="module")
def span(recording):
    """Parameters of a download of 20 s with sound, and its answer."""
    footage = Footage(recording.keepframe, "avc")
    params = {"start": format_utc(footage.start_us + 2_345_000),
              "end": format_utc(footage.start_us + 22_345_000)}
    return params, recording.keepframe.download("avc", **params).expect(200)


def test_the_answer_is_a_whole_mp4_of_the_announced_length(recording, span):
    _, whole = span
    assert int(whole.headers["Content-Length"]) == len(whole.body)
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.headers["Accept-Ranges"] == "bytes"
    types = [box.type for box in media.boxes_in(whole.body)]
    assert types[:2] == ["ftyp", "moov"] and "moof" not in types
    assert sum(box.size for box in media.boxes_in(whole.body)) == len(whole.body)


def test_a_download_decodes_without_a_complaint(span, tmp_path):
    path = tmp_path / "whole.mp4"
    path.write_bytes(span[1].body)
    assert media.decode_complaints(path) == ""


@pytest.mark.parametrize("camera", ["avc", "bframes", "hevc", "silent"])
def test_ranges_of_what_a_camera_sent_are_exact(recording, camera, chance, tmp_path):
    """Like test_ranges.py, with what ffmpeg wrote; behind the first seconds of a run, whose sound
    and picture are brought together when they are sealed."""
    keepframe, sources = recording.keepframe, []
    rows = keepframe.sealed(camera)
    for row in [row for row in rows if row.start_us - rows[0].start_us > 12_000_000]:
        path = tmp_path / f"{row.number}.mp4"
        done = indexer(keepframe, "verify", "--unseal", row.id, "-o", path)
        assert done.returncode == 0, done.stderr
        sources.append(Source(Recorded(row.id, row.start_us, row.end_us, path)))
    for _ in range(5):
        start_us, end_us = random_span(sources, chance)
        start_us = max(start_us, sources[0].start_us + 2_000_000)
        end_us = max(end_us, start_us + 1000)
        check(keepframe, camera, sources, start_us, end_us,
              {"audio": chance.choice((1, 0)), "start_at": "exact"}, tmp_path / "range.mp4")


def test_200_random_byte_ranges_equal_the_same_bytes_of_the_whole(recording, span, chance):
    params, whole = span
    size = len(whole.body)
    for _ in range(200):
        first = chance.randrange(size)
        last = min(size - 1, first + chance.choice([0, 1, 100, 10_000, 1_000_000, size]))
        form = chance.choice([f"{first}-{last}", f"{first}-", f"-{size - first}"])
        if form.endswith("-") or form.startswith("-"):
            last = size - 1
        part = recording.keepframe.download("avc", headers={"Range": f"bytes={form}"}, **params)
        part.expect(206)
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}", form
        assert int(part.headers["Content-Length"]) == last - first + 1
        assert part.body == whole.body[first:last + 1], form


def test_a_repeated_request_has_the_same_etag_and_bytes(recording, span):
    params, whole = span
    again = recording.keepframe.download("avc", **params)
    assert again.headers["ETag"] == whole.headers["ETag"]
    assert again.body == whole.body


def test_the_etag_is_strong_and_other_ranges_have_others(recording, span):
    params, whole = span
    etag = whole.headers["ETag"]
    assert etag.startswith('"') and etag.endswith('"')
    later = {**params, "end": format_utc(parse_utc(params["end"]) + 400_000)}
    others = [recording.keepframe.download("avc", method="HEAD", **later),
              recording.keepframe.download("avc", method="HEAD", **params, audio=0),
              recording.keepframe.download("bframes", method="HEAD", **params)]
    assert len({etag, *(other.headers["ETag"] for other in others)}) == 4


def test_times_in_other_spellings_mean_the_same(recording, span):
    params, whole = span
    start_us = parse_utc(params["start"])
    spellings = [
        {"start": f"{start_us // 10**6}.{start_us % 10**6:06}", "duration": "20s"},
        {"start": format_utc(start_us).replace("Z", "+00:00"), "end": params["end"]},
        {"start": format_utc(start_us + 7200 * 10**6).replace("Z", "+02:00"),
         "end": params["end"]},
    ]
    for spelling in spellings:
        answer = recording.keepframe.download("avc", method="HEAD", **spelling).expect(200)
        assert answer.headers["ETag"] == whole.headers["ETag"], spelling
    raw = f"/video/avc/main.mp4?start={spellings[1]['start']}&end={params['end']}"
    assert "+" in raw  # unescaped: it arrives as a space
    assert recording.keepframe.http("HEAD", raw).headers["ETag"] == whole.headers["ETag"]


def test_head_says_the_same_without_a_body(recording, span):
    params, whole = span
    head = recording.keepframe.download("avc", method="HEAD", **params).expect(200)
    assert head.body == b""
    for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Accept-Ranges"):
        assert head.headers[name] == whole.headers[name] is not None, name


def test_if_none_match_saves_the_body(recording, span):
    params, whole = span
    for etag in (whole.headers["ETag"], '"other", ' + whole.headers["ETag"], "*"):
        answer = recording.keepframe.download("avc", headers={"If-None-Match": etag}, **params)
        assert (answer.expect(304).body, answer.headers["ETag"]) == (b"", whole.headers["ETag"])
    answer = recording.keepframe.download("avc", headers={"If-None-Match": '"other"'}, **params)
    assert answer.expect(200).body == whole.body


def test_if_range_gives_the_part_or_the_whole(recording, span):
    params, whole = span
    for validator in (whole.headers["ETag"], whole.headers["Last-Modified"]):
        same = recording.keepframe.download(
            "avc", headers={"Range": "bytes=1000-1999", "If-Range": validator}, **params)
        assert same.expect(206).body == whole.body[1000:2000]
    for validator in ('"other"', "Thu, 01 Jan 1998 00:00:00 GMT", "W/" + whole.headers["ETag"]):
        other = recording.keepframe.download(
            "avc", headers={"Range": "bytes=1000-1999", "If-Range": validator}, **params)
        assert other.expect(200).body == whole.body, validator


def test_a_range_behind_the_end_is_refused(recording, span):
    params, whole = span
    size = len(whole.body)
    for form in (f"{size}-", f"{size + 5}-{size + 9}", "-0"):
        answer = recording.keepframe.download("avc", headers={"Range": f"bytes={form}"}, **params)
        assert answer.expect(416).headers["Content-Range"] == f"bytes */{size}", form


def test_a_range_that_is_none_is_ignored(recording, span):
    params, whole = span
    for form in ("bytes=5-2", "bytes=x-y", "seconds=1-2", "bytes="):
        answer = recording.keepframe.download("avc", headers={"Range": form}, **params)
        assert answer.expect(200).body == whole.body, form


def test_without_audio_there_is_only_the_picture(recording, span, tmp_path):
    params, whole = span
    silent = recording.keepframe.download("avc", **params, audio=0).expect(200)
    assert [track.kind for track in media.Movie(silent.body).tracks] == ["video"]
    assert [track.kind for track in media.Movie(whole.body).tracks] == ["video", "audio"]
    for name, body in (("silent", silent.body), ("whole", whole.body)):
        (tmp_path / f"{name}.mp4").write_bytes(body)
    assert media.frame_hashes(tmp_path / "silent.mp4") == media.frame_hashes(tmp_path / "whole.mp4")


def test_download_names_the_file(recording, span):
    params, _ = span
    answer = recording.keepframe.download("avc", method="HEAD", **params, download=1)
    disposition = answer.expect(200).headers["Content-Disposition"]
    assert disposition.startswith("attachment") and "avc" in disposition and ".mp4" in disposition


def test_headers_say_what_is_shown(recording, span):
    params, whole = span
    start, end = (parse_utc(whole.headers[f"X-Keepframe-{name}"]) for name in ("Start", "End"))
    assert 0 <= parse_utc(params["start"]) - start < 40_000
    assert abs(parse_utc(params["end"]) - end) < 40_000
    video = media.Movie(whole.body).track("video")
    lead_in_ms = (video.shown_ticks()[0] - video.in_order()[0].pts) * 1000 / video.timescale
    assert float(whole.headers["X-Keepframe-Lead-In-Ms"]) == pytest.approx(lead_in_ms, abs=2)


def test_start_at_keyframe_has_no_hidden_lead_in(recording, span):
    params, _ = span
    answer = recording.keepframe.download("avc", **params, start_at="keyframe").expect(200)
    video = media.Movie(answer.body).track("video")
    assert float(answer.headers["X-Keepframe-Lead-In-Ms"]) == 0
    assert video.shown()[0][0].key and video.shown()[0][0] is video.in_order()[0]
    assert parse_utc(answer.headers["X-Keepframe-Start"]) <= parse_utc(params["start"])


def test_footage_that_is_not_there_is_404_with_json(recording, span):
    params, _ = span
    day_us = 86_400_000_000
    before = {key: format_utc(parse_utc(value) - day_us) for key, value in params.items()}
    absent = [recording.keepframe.download("avc", **before),
              recording.keepframe.download("nowhere", **params),
              recording.keepframe.download("avc", "sub", **params),
              recording.keepframe.get("/api/v1/cameras/nowhere/main/segments"),
              recording.keepframe.get("/no/such/path")]
    for answer in absent:
        error = answer.expect(404).json["error"]
        assert error["code"] and error["message"], answer


BAD = [
    ("start", {}),
    ("start", {"start": "yesterday"}),
    ("start", {"start": "2024-13-45T00:00:00Z"}),
    ("start", {"start": "2024-06-01T00:00:00"}),  # no offset
    ("end", {"start": "1000"}),  # neither end nor duration
    ("end", {"start": "1000", "end": "soon"}),
    ("end", {"start": "1000", "end": "1000"}),
    ("end", {"start": "1000", "end": "999"}),
    ("duration", {"start": "1000", "end": "1010", "duration": "10s"}),
    ("duration", {"start": "1000", "duration": "long"}),
    ("duration", {"start": "1000", "duration": "-5s"}),
    ("audio", {"start": "1000", "end": "1010", "audio": "maybe"}),
    ("gaps", {"start": "1000", "end": "1010", "gaps": "mind"}),
    ("start_at", {"start": "1000", "end": "1010", "start_at": "dawn"}),
    ("download", {"start": "1000", "end": "1010", "download": "yes please"}),
    ("colour", {"start": "1000", "end": "1010", "colour": "blue"}),
]


@pytest.mark.parametrize("field, params", BAD, ids=lambda value: "-".join(value.values())
                         if isinstance(value, dict) else value)
def test_a_bad_parameter_is_400_and_named(recording, field, params):
    error = recording.keepframe.download("avc", **params).expect(400).json["error"]
    assert error["field"] == field, error
    assert error["code"] and len(error["message"]) > 10, error


def test_a_parameter_given_twice_is_named(recording):
    answer = recording.keepframe.get("/video/avc/main.mp4?start=1000&end=1010&start=1001")
    assert answer.expect(400).json["error"]["field"] == "start"


def test_bad_parameters_of_the_segment_list_are_named(recording):
    where = "/api/v1/cameras/avc/main/segments"
    for field, value in (("start", "x"), ("end", "x"), ("limit", "0"), ("limit", "10001"),
                         ("limit", "many"), ("cursor", "???")):
        error = recording.keepframe.get(where, {field: value}).expect(400).json["error"]
        assert error["field"] == field, error


def test_other_methods_are_refused(recording, span):
    params, _ = span
    answer = recording.keepframe.download("avc", method="POST", **params).expect(405)
    assert answer.json["error"]["code"]


def test_the_open_segment_is_in_a_download(recording):
    keepframe = recording.keepframe
    row = keepframe.wait_open("live", longer_than_us=2_000_000)
    answer = keepframe.download("live", start=format_utc(row.start_us), duration="20s").expect(200)
    video = media.Movie(answer.body).track("video")
    shown = parse_utc(answer.headers["X-Keepframe-End"]) - row.start_us
    assert shown >= row.end_us - row.start_us  # it may have grown meanwhile
    assert video.length_s() == pytest.approx(shown / 1e6, abs=1 / 25)
    sent = recording.mounts["live"].sent_pictures(keepframe.lab.build)
    got = [media.picture_hash(media.Movie(answer.body).bytes_of(s), "h264") for s in video.samples]
    begin = sent.index(got[0])
    assert got == (sent * 2)[begin:begin + len(got)]


def test_a_growing_range_gets_another_etag_and_a_finished_one_keeps_it(recording):
    keepframe = recording.keepframe
    row = keepframe.wait_open("live", longer_than_us=1_000_000)
    open_range = {"start": format_utc(row.start_us), "duration": "60s"}
    closed_range = {"start": format_utc(row.start_us), "duration": "600ms"}
    first = keepframe.download("live", method="HEAD", **open_range).expect(200).headers["ETag"]
    keepframe.wait_for("the range has grown", lambda: keepframe.download(
        "live", method="HEAD", **open_range).headers["ETag"] != first)
    body = keepframe.download("live", **closed_range).expect(200).body
    keepframe.wait_for("the segment is sealed", lambda: any(
        other.id == row.id and other.state == "sealed" for other in keepframe.segments("live")))
    # Committing a segment may place it better in time, so it is asked for by its new start.
    (sealed,) = [other for other in keepframe.segments("live") if other.id == row.id]
    assert abs(sealed.start_us - row.start_us) < 1_000_000
    closed_range["start"] = format_utc(sealed.start_us)
    after = keepframe.download("live", **closed_range).expect(200).body
    pictures = [[media.Movie(source).hash_of(s) for s in media.Movie(source).track("video").samples]
                for source in (body, after)]
    shorter = min(map(len, pictures))
    assert pictures[0][:shorter] == pictures[1][:shorter] and shorter >= 14


def test_an_end_in_the_future_is_cut_to_what_there_is(recording):
    keepframe = recording.keepframe
    rows = keepframe.wait_sealed("live", 1)
    keepframe.wait_for("something of the open segment can be played",
                       lambda: keepframe.segments("live")[-1].end_us > rows[-1].end_us)
    answer = keepframe.download("live", start=format_utc(rows[0].start_us), duration="1d")
    end = parse_utc(answer.expect(200).headers["X-Keepframe-End"])
    newest = keepframe.segments("live")[-1].end_us
    assert rows[-1].end_us < end <= newest


def test_segments_are_listed_in_pages_that_join(recording):
    where = "/api/v1/cameras/avc/main/segments"
    everything = recording.keepframe.segments("avc")
    paged = recording.keepframe.segments("avc", limit=2)
    assert paged == everything and len(everything) >= 6
    assert [row.start_us for row in everything] == sorted(row.start_us for row in everything)
    page = recording.keepframe.get(where, {"limit": 2}).json
    assert len(page["segments"]) == 2 and page["cursor"] and page["node"]


def test_a_list_holds_what_intersects_its_half_open_range(recording):
    rows = recording.keepframe.segments("avc")
    middle = rows[2]

    def ids(start_us, end_us):
        return [row.id for row in recording.keepframe.segments(
            "avc", start=format_utc(start_us), end=format_utc(end_us))]
    assert ids(middle.start_us, middle.end_us) == [middle.id]
    assert ids(middle.start_us - 1, middle.end_us) == [rows[1].id, middle.id]
    assert ids(middle.start_us, middle.end_us + 1) == [middle.id, rows[3].id]


def test_cameras_are_listed_with_state_and_extent(recording):
    answer = recording.keepframe.get("/api/v1/cameras").expect(200).json
    assert answer["node"]
    listed = {row["camera"]: row["streams"] for row in answer["cameras"]}
    assert set(listed) >= {"avc", "bframes", "hevc", "silent", "live"}
    rows = recording.keepframe.segments("avc")
    (stream,) = listed["avc"]
    assert stream["stream"] == "main" and stream["state"]
    assert parse_utc(stream["first"]) == rows[0].start_us
    assert parse_utc(stream["last"]) == rows[-1].end_us
    assert stream["bytes"] == sum(row.bytes for row in rows)
    (alone,) = recording.keepframe.get("/api/v1/cameras/avc").expect(200).json["streams"]
    assert alone == stream


def test_health_is_good_while_all_runs(recording):
    assert recording.keepframe.get("/healthz").expect(200).json == {"status": "ok"}
