"""HLS of the archive: what RFC 8216 demands, every packet of the segments and no other, and that
other readers play it."""

import math
import random
import re
import time
from dataclasses import dataclass

import pytest

import footage
import media
from archive import indexer
from lab import Lab
from mixed import clips
from times import format_utc, parse_utc



@pytest.fixture(scope="module")
def archive(build):
    """Three runs: two alike, the third of another picture size and without sound."""
    lab = Lab(build)
    keepframe = lab.keepframe()
    keepframe.data.mkdir()
    volume = keepframe.data / "video"
    footage.mark_volume(volume, 0)
    keepframe.configure({})
    recorder = footage.Recorder(clips(build), lab.folder / "recorded", random.Random(1))
    start_us = time.time_ns() // 1000 - 3_600_000_000
    runs = (footage.Run("one", start_us, "bframes", "mono16", (20, 20), reorder=2),
            footage.Run("one", start_us + 60_000_000, "bframes", "mono16", (20, 20), reorder=2),
            footage.Run("one", start_us + 120_000_000, "large", None, (20,)))
    segments = [segment for run in runs for segment in recorder.write(run)]
    footage.seal(build.tool("sealer"), segments, [volume], lab.env())
    done = indexer(keepframe, "reindex")
    assert done.returncode == 0, done.stderr
    keepframe.start().wait_answering()
    yield keepframe
    lab.close()


@dataclass
class Item:
    uri: str
    duration: float
    map: str
    wall_us: int
    discontinuity: bool


@dataclass
class Playlist:
    items: list
    target: int
    tags: dict


def parse(text):
    """A media playlist, by RFC 8216, 4.3 and 6.3: what must not be is refused."""
    lines = text.split("\n")
    assert lines[0] == "#EXTM3U" and lines[-1] == "" and "" not in lines[:-1]
    items, tags, pending = [], {}, {"discontinuity": False}
    current_map, wall_us = None, None
    for line in lines[1:-1]:
        name, _, value = line.partition(":")
        if line.startswith("#EXTINF"):
            pending["duration"] = float(value.split(",")[0])
        elif name == "#EXT-X-MAP":
            current_map = re.fullmatch(r'URI="([^"]+)"', value)[1]
        elif name == "#EXT-X-PROGRAM-DATE-TIME":
            wall_us = parse_utc(value)
        elif line == "#EXT-X-DISCONTINUITY":
            pending["discontinuity"] = True
        elif line.startswith("#"):
            assert name not in tags, f"{name} stands there twice"
            tags[name] = value
        else:
            items.append(Item(line, pending.pop("duration"), current_map, wall_us,
                              pending["discontinuity"]))
            pending["discontinuity"] = False
            wall_us += round(items[-1].duration * 1e6)
    target = int(tags["#EXT-X-TARGETDURATION"])
    for item in items:
        assert math.floor(item.duration + 0.5) <= target, "longer than the target duration"
        assert item.map, "no initialisation"
    return Playlist(items, target, tags)


def whole(keepframe):
    rows = keepframe.sealed("one")
    return {"start": format_utc(rows[0].start_us), "end": format_utc(rows[-1].end_us)}


def vod(keepframe, **params):
    answer = keepframe.get("/hls/one/main/vod.m3u8", params).expect(200)
    assert answer.headers["Content-Type"] == "application/vnd.apple.mpegurl"
    return parse(answer.body.decode())


def fetch(keepframe, uri):
    answer = keepframe.get(f"/hls/one/main/{uri}").expect(200)
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    head = keepframe.http("HEAD", f"/hls/one/main/{uri}").expect(200)
    assert head.headers["Content-Length"] == answer.headers["Content-Length"]
    return answer.body


def rows_of(keepframe):
    rows = keepframe.sealed("one")
    assert len(rows) == 5
    return rows


def test_a_list_is_what_the_standard_demands(archive):
    rows = rows_of(archive)
    playlist = vod(archive, **whole(archive))
    assert playlist.tags["#EXT-X-PLAYLIST-TYPE"] == "VOD"
    assert "#EXT-X-ENDLIST" in playlist.tags and "#EXT-X-INDEPENDENT-SEGMENTS" in playlist.tags
    assert int(playlist.tags["#EXT-X-VERSION"]) >= 6  # EXT-X-MAP without I-FRAMES-ONLY
    # Key frames are 1 s apart and a portion lasts 6 s at least: 6 + 6 + 6 + 2, five times.
    assert [round(item.duration) for item in playlist.items] == [6, 6, 6, 2] * 5
    assert [item.discontinuity for item in playlist.items] == [
        index in (8, 16) for index in range(20)]
    assert len({item.map for item in playlist.items[:16]}) == 1
    assert playlist.items[16].map != playlist.items[0].map
    for index, row in enumerate(rows):
        item = playlist.items[index * 4]
        assert abs(item.wall_us - row.start_us) < 1000
        assert row.id.split("/")[-1] in item.uri


def test_every_packet_is_there_once(archive, tmp_path):
    playlist = vod(archive, **whole(archive))
    parts = {}
    inits = {item.map: fetch(archive, item.map) for item in playlist.items}
    found = {"video": [], "audio": []}
    for item in playlist.items:
        parts[item.uri] = fetch(archive, item.uri)
        path = tmp_path / "part.mp4"
        path.write_bytes(inits[item.map] + parts[item.uri])
        assert media.packets(path)[0].key
        for kind in found if b"soun" in inits[item.map] else ["video"]:
            found[kind] += media.frame_hashes(path, kind)
    for kind in found:
        wanted = [packet for row in rows_of(archive)[:5 if kind == "video" else 4]
                  for packet in media.frame_hashes(archive.segment_file(row), kind)]
        assert found[kind] == wanted


def test_durations_are_true(archive, tmp_path):
    """EXTINF against the first presentation times of neighbours, as ffprobe finds them."""
    playlist = vod(archive, **whole(archive))
    starts = []
    for item in playlist.items[:8]:
        path = tmp_path / "part.mp4"
        path.write_bytes(fetch(archive, item.map) + fetch(archive, item.uri))
        answer = media.run("ffprobe", "-v", "error", "-select_streams", "v", "-show_entries",
                           "packet=pts_time", "-of", "csv=p=0", str(path))
        starts.append(min(float(line.split(",")[0]) for line in answer.stdout.decode().split()))
    for before, after, item in zip(starts, starts[1:], playlist.items):
        assert after - before == pytest.approx(item.duration, abs=0.0011)


def test_ffmpeg_plays_it(archive):
    """Its demuxer takes every packet; it decodes with the first initialisation alone, so pictures
    are looked at before another size comes."""
    rows = rows_of(archive)
    url = archive.url("/hls/one/main/vod.m3u8", whole(archive))
    done = media.run("ffmpeg", "-v", "error", "-nostdin", "-i", url, "-map", "0:v", "-c", "copy",
                     "-f", "framemd5", "-")
    assert len(lines_of(done)) == 100 * 25
    url = archive.url("/hls/one/main/vod.m3u8", {
        "start": format_utc(rows[0].start_us), "end": format_utc(rows[3].end_us)})
    done = media.run("ffmpeg", "-v", "warning", "-nostdin", "-i", url, "-map", "0:v", "-f",
                     "framemd5", "-")
    assert len(lines_of(done)) == 80 * 25
    assert "error" not in done.stderr.decode().lower()


def lines_of(done):
    return [line for line in done.stdout.decode().splitlines() if not line.startswith("#")]


def test_gstreamer_plays_it(archive):
    rows = rows_of(archive)
    url = archive.url("/hls/one/main/vod.m3u8", {
        "start": format_utc(rows[0].start_us), "end": format_utc(rows[1].end_us)})
    done = media.run("gst-launch-1.0", "souphttpsrc", f"location={url}", "!", "hlsdemux", "!",
                     "qtdemux", "name=d", "d.video_0", "!", "h264parse", "!", "fakesink")
    assert b"Got EOS" in done.stdout


def test_without_sound_no_byte_of_it_is_sent(archive, tmp_path):
    playlist = vod(archive, audio=0, **whole(archive))
    sound = [packet for row in rows_of(archive)[:4]
             for packet in sound_bytes(archive.segment_file(row))]
    assert len(sound) > 20
    for item in playlist.items[:8]:
        init, part = fetch(archive, item.map), fetch(archive, item.uri)
        assert b"soun" not in init
        assert not [packet for packet in sound if len(packet) > 16 and packet in part]


def sound_bytes(path):
    movie = media.Movie(path)
    track = movie.track("audio")
    return [movie.bytes_of(sample) for sample in track.samples][::40]


def test_a_part_of_the_range(archive):
    rows = rows_of(archive)
    start_us, end_us = rows[0].start_us + 7_000_000, rows[1].start_us + 3_000_000
    playlist = vod(archive, start=format_utc(start_us), end=format_utc(end_us))
    assert [item.uri.rsplit("-", 1)[1] for item in playlist.items] == [
        "1.m4s", "2.m4s", "3.m4s", "0.m4s"]
    match = re.fullmatch(r"TIME-OFFSET=([0-9.]+),PRECISE=YES", playlist.tags["#EXT-X-START"])
    assert float(match[1]) == pytest.approx(1, abs=0.05)


def test_what_goes_on_is_no_finished_list(archive):
    rows = rows_of(archive)
    playlist = vod(archive, start=format_utc(rows[0].start_us),
                   end=format_utc(time.time_ns() // 1000 + 3_600_000_000))
    assert playlist.tags["#EXT-X-PLAYLIST-TYPE"] == "EVENT"
    assert "#EXT-X-ENDLIST" not in playlist.tags and len(playlist.items) == 20


def test_the_streams_are_variants(archive):
    answer = archive.get("/hls/one/master.m3u8", whole(archive)).expect(200)
    lines = answer.body.decode().splitlines()
    info = next(line for line in lines if line.startswith("#EXT-X-STREAM-INF:"))
    uri = lines[lines.index(info) + 1]
    attributes = dict(re.findall(r'([A-Z-]+)=("[^"]*"|[^,]*)', info.partition(":")[2]))
    assert attributes["RESOLUTION"] == "320x180"
    assert {"mp4a.40.2"} < set(attributes["CODECS"].strip('"').split(","))
    assert float(attributes["FRAME-RATE"]) == pytest.approx(25, abs=0.1)
    rows = rows_of(archive)
    peak = max(row.bytes * 8e6 / (row.end_us - row.start_us) for row in rows)
    assert int(attributes["BANDWIDTH"]) == pytest.approx(peak, rel=0.01)
    assert int(attributes["AVERAGE-BANDWIDTH"]) < int(attributes["BANDWIDTH"])
    parse(archive.get(f"/hls/one/{uri}").expect(200).body.decode())


@pytest.mark.parametrize("path, params, status, field", [
    ("main/vod.m3u8", {}, 400, "start"),
    ("main/vod.m3u8", {"start": "2026-01-01T00:00:00Z"}, 400, "end"),
    ("main/vod.m3u8", {"start": 2, "end": 1}, 400, "end"),
    ("main/vod.m3u8", {"start": 0, "end": "2026-01-01T00:00:00Z"}, 400, "end"),
    ("main/vod.m3u8", {"start": 1, "end": 2}, 404, None),
    ("none/vod.m3u8", {"start": 1, "end": 2}, 404, None),
    ("master.m3u8", {"start": 1, "end": 2}, 404, None),
    ("main/init-1700000000000-000000.mp4", {}, 404, None),
    ("main/seg-1700000000000-000000-0.m4s", {}, 404, None),
    ("main/seg-nonsense.m4s", {}, 404, None),
])
def test_what_is_not_there_is_refused(archive, path, params, status, field):
    answer = archive.get(f"/hls/one/{path}", params).expect(status)
    assert answer.json["error"]["field"] == field


def test_a_portion_too_many(archive):
    uri = vod(archive, **whole(archive)).items[3].uri
    beyond = uri.replace("-3.m4s", "-4.m4s")
    archive.get(f"/hls/one/main/{beyond}").expect(404)
