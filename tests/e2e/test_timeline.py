"""Timeline, gaps, calendar, storage and status, held against the listing of segments."""

import os
import signal
import sqlite3
import time

import pytest

from camera import Mount
from lab import Lab
from times import format_utc, parse_utc
from waiting import wait_for

ONE = Mount("one", gop=5)
HOUR_US = 3_600_000_000


def get(keepframe, what, **params):
    return keepframe.get(f"/api/v1/cameras/one/main/{what}", params)


def covered_us(segments, start_us, end_us):
    """How much of a time the segments cover, a moment once."""
    total, at = 0, start_us
    for row in sorted(segments, key=lambda row: row.start_us):
        begin, end = max(row.start_us, at), min(row.end_us, end_us)
        if end > begin:
            total += end - begin
            at = end
    return total


@pytest.fixture(scope="module")
def house(build):
    lab = Lab(build)
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def stopped(house):
    """Some footage with a hole in it, and no camera any more: nothing changes."""
    camera = house.camera(ONE)
    keepframe = house.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}}, recording={"segment": "2s"})
    keepframe.start().wait_ready()
    keepframe.wait_sealed("one", 2)
    before = keepframe.wait_recorder("one")
    os.kill(before, signal.SIGKILL)
    keepframe.wait_recorder("one", other_than=before)
    keepframe.wait_sealed("one", 2, after=keepframe.segments("one")[-1])
    keepframe.configure({"one": {"url": camera.url("one"), "enabled": "false"}})
    keepframe.send(signal.SIGHUP)
    keepframe.wait_for("all is sealed", lambda: not keepframe.cache_files("one"))
    return keepframe


@pytest.fixture(scope="module")
def recorded(house):
    """One that records on."""
    camera = house.camera(ONE)
    keepframe = house.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}})
    keepframe.start().wait_ready()
    keepframe.wait_sealed("one", 1)
    return keepframe


def test_what_the_timeline_says_is_what_is_listed(stopped):
    rows = stopped.segments("one")
    start, end = rows[0].start_us - 3_000_000, rows[-1].end_us + 3_000_000
    wait_for("the range is past", lambda: time.time() > end / 1e6)
    ask = {"start": format_utc(start), "end": format_utc(end)}
    answer = get(stopped, "timeline", **ask, buckets=13).expect(200).json
    assert (answer["camera"], answer["stream"]) == ("one", "main")
    assert (answer["start"], answer["end"]) == (format_utc(start), format_utc(end))
    bounds = [parse_utc(bucket["start"]) for bucket in answer["buckets"]] + [end]
    assert len(bounds) == 14 and bounds == sorted(bounds) and bounds[0] == start
    for bucket, begin, finish in zip(answer["buckets"], bounds, bounds[1:]):
        assert bucket["covered_seconds"] == pytest.approx(
            covered_us(rows, begin, finish) / 1e6, abs=2e-6)

    # The gaps of the timeline are the longer ones of the list.
    for buckets in (1, 2, 7, 13, 500):
        least = max((end - start) / buckets, 1_000_000)
        listed = get(stopped, "gaps", **ask, least=f"{least / 1e6:.6f}").json["gaps"]
        assert get(stopped, "timeline", **ask, buckets=buckets).json["gaps"] == listed
        assert buckets < 13 or listed, "there is a gap to be found"

    # The hole, with its cause.
    gaps = get(stopped, "gaps", least="10ms").expect(200).json
    assert gaps["cursor"] is None
    joins = [(one.end_us, two.start_us) for one, two in zip(rows, rows[1:])
             if two.start_us - one.end_us >= 10_000]
    assert len(joins) == 1
    inner = [gap for gap in gaps["gaps"] if parse_utc(gap["end"]) <= rows[-1].end_us]
    assert [(parse_utc(gap["start"]), parse_utc(gap["end"])) for gap in inner] == joins
    assert inner[0]["reason"] == "killed"
    assert inner[0]["seconds"] == pytest.approx((joins[0][1] - joins[0][0]) / 1e6, abs=2e-6)
    # And what follows since the camera was switched off, up to now.
    last = gaps["gaps"][-1]
    assert parse_utc(last["start"]) == rows[-1].end_us and last["reason"] in ("disabled", "reload")
    # Page by page they are the same.
    pages, cursor = [], None
    while True:
        page = get(stopped, "gaps", least="10ms", limit=1, cursor=cursor,
                   end=format_utc(rows[-1].end_us)).json
        pages += page["gaps"]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert pages == inner


def test_days_are_those_of_the_zone(stopped):
    rows = stopped.segments("one")
    start, end = rows[0].start_us, rows[-1].end_us
    total = covered_us(rows, start, end) / 1e6
    for zone, offset_us in (("utc", 0), ("+05:30", 11 * HOUR_US // 2), ("-08:00", -8 * HOUR_US)):
        days = get(stopped, "calendar", zone=zone).expect(200).json["days"]
        assert sum(day["covered_seconds"] for day in days) == pytest.approx(total, abs=1e-3)
        for day in days:
            begin, finish = parse_utc(day["start"]), parse_utc(day["end"])
            assert (begin + offset_us) % (24 * HOUR_US) == 0 and finish - begin == 24 * HOUR_US
            assert format_utc(begin + offset_us).startswith(day["day"])
            assert day["covered_seconds"] == pytest.approx(
                covered_us(rows, begin, finish) / 1e6, abs=1e-3)
    chosen = get(stopped, "calendar", start="2024-02-28", end="2024-03-02", zone="utc").json["days"]
    assert [day["day"] for day in chosen] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert [day["covered_seconds"] for day in chosen] == [0, 0, 0]


def test_storage_adds_up(stopped):
    rows = stopped.segments("one")
    answer = stopped.get("/api/v1/storage").expect(200).json
    (volume,), (stream,) = answer["volumes"], answer["streams"]
    size = sum(path.stat().st_size for path in stopped.volume_files())
    assert volume["path"] == str(stopped.video) and volume["used_bytes"] == size
    assert volume["segments"] == len(rows) and parse_utc(volume["first"]) == rows[0].start_us
    assert volume["writable"] and volume["total_bytes"] > volume["free_bytes"] > 0
    assert (stream["camera"], stream["bytes"], stream["segments"]) == ("one", size, len(rows))
    assert parse_utc(stream["last"]) == rows[-1].end_us
    assert answer["forecast"] == stopped.ask_indexer("status")["result"]["storage"]


def test_status_has_both_programs(stopped):
    answer = stopped.get("/api/v1/status").expect(200).json
    assert answer["reasons"] == [] and answer["indexer"]["committed"] > 0
    assert [stream["camera"] for stream in answer["supervisor"]["streams"]] == ["one"]
    stopped.kill_program("keepframe-indexer")
    stopped.wait_for("the indexer is back", lambda: (
        stopped.get("/api/v1/status").expect(200).json["indexer"]))


@pytest.mark.parametrize("what, params, field", [
    ("timeline", {"start": "2026-03-31T07:30:00Z", "end": "2026-03-31T07:30:00Z"}, "end"),
    ("timeline", {"buckets": 5001}, "buckets"),
    ("timeline", {"buckets": 0}, "buckets"),
    ("timeline", {"start": "yesterday"}, "start"),
    ("gaps", {"cursor": "x"}, "cursor"),
    ("gaps", {"least": "0s"}, "least"),
    ("calendar", {"zone": "Mars"}, "zone"),
    ("calendar", {"start": "2026-02-30"}, "start"),
    ("calendar", {"start": "2026-02-03", "end": "2026-02-03"}, "end"),
    ("calendar", {"start": "1971-01-01"}, "start"),
])
def test_what_is_refused(recorded, what, params, field):
    error = get(recorded, what, **params).expect(400).json["error"]
    assert error["field"] == field, error


def test_footage_that_is_not_committed_counts(recorded):
    """The newest footage lies in the cache: it is covered, and no gap."""
    row = recorded.wait_open("one", longer_than_us=2_000_000)
    ask = {"start": format_utc(row.start_us), "end": format_utc(row.start_us + 2_000_000)}
    (bucket,) = get(recorded, "timeline", **ask, buckets=1).expect(200).json["buckets"]
    assert bucket["covered_seconds"] == pytest.approx(2, abs=0.7)
    gaps = get(recorded, "gaps", start=ask["start"]).expect(200).json["gaps"]
    assert gaps == []


def test_an_unknown_stream(recorded):
    for what in ("timeline", "gaps", "calendar"):
        answer = recorded.get(f"/api/v1/cameras/one/sub/{what}").expect(404)
        assert answer.json["error"]["code"] == "stream_not_found"


def test_the_timeline_tells_of_steps(stopped):
    at = stopped.segments("one")[1].start_us
    ask = {"start": format_utc(at - 1_000_000), "end": format_utc(at + 1_000_000)}
    assert get(stopped, "timeline", **ask).expect(200).json["steps"] == []
    connection = sqlite3.connect(stopped.data / "catalog.db", timeout=30)
    with connection:
        connection.execute("INSERT INTO epoch SELECT id, 5, 7, ?, 'clock_step', -2500000 FROM stream", (at,))
    connection.close()
    assert get(stopped, "timeline", **ask).expect(200).json["steps"] == [
        {"time": format_utc(at), "cause": "clock_step", "moved_seconds": -2.5}]
    ask["end"] = format_utc(at)
    assert get(stopped, "timeline", **ask).expect(200).json["steps"] == []
