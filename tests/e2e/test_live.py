"""Live view from the file that grows: the real chain from the camera to a client that takes what
comes, when it comes."""

import http.client
import os
import signal
import statistics
import time

import pytest

import media
from camera import Mount
from lab import Lab
from live import (CATCH_UP, DESCRIPTION, DISCONTINUITY, INIT, KEY, MEDIA, NEW_RUN, STATE, MovieClient,
                  MuxClient)
from slowlink import SlowLink

ONE = Mount("one", bframes=2, audio=True, gop=50, bitrate=800)
TWO = Mount("two", width=480, height=270, bitrate=1200)


class Live:
    def __init__(self, lab):
        self.camera = lab.camera(ONE, TWO)
        self.keepframe = lab.keepframe()
        self.keepframe.configure(
            {mount.name: {"url": self.camera.url(mount.name)} for mount in (ONE, TWO)},
            recording={"segment": "2s"}).start().wait_ready()
        for mount in (ONE, TWO):
            self.keepframe.wait_open(mount.name)


@pytest.fixture(scope="module")
def live(build):
    """Two streams that are being recorded, which tests share and do not disturb."""
    lab = Lab(build)
    try:
        yield Live(lab)
    finally:
        lab.close()


@pytest.fixture(scope="module")
def rough(build):
    """The same, to which things happen; what a test does to it ends with the test, or the next begins
    where it was left."""
    lab = Lab(build)
    try:
        yield Live(lab)
    finally:
        lab.close()


@pytest.fixture(scope="module")
def taken(live, tmp_path_factory):
    """A file of what a client took, over two boundaries between files at least."""
    path = tmp_path_factory.mktemp("live") / "live.mp4"
    with MovieClient(live.keepframe, "one") as client:
        path.write_bytes(client.read_fragments(12))
    return path


def test_ffprobe_reads_it(taken):
    """B-frames, and nothing to be seen of the boundaries."""
    packets = media.packets(taken)
    times = sorted(packet.pts for packet in packets)
    assert packets[0].key and 1 <= times[0] < 1.2
    assert all(later - earlier == pytest.approx(0.04, abs=0.002)
               for earlier, later in zip(times, times[1:]))
    assert media.decode_complaints(taken) == ""
    assert [stream["codec_type"] for stream in media.probe(taken)["streams"]] == ["video"]


def test_sound_comes_with_it_when_it_is_asked_for(live, tmp_path):
    path = tmp_path / "live.mp4"
    with MovieClient(live.keepframe, "one", audio=1) as client:
        path.write_bytes(client.read_fragments(8))
    assert {stream["codec_name"] for stream in media.probe(path)["streams"]} == {"h264", "aac"}
    sound, picture = media.packets(path, "audio"), media.packets(path)
    assert abs(sound[0].pts - picture[0].pts) < 1
    assert abs(sound[-1].pts - picture[-1].pts) < 1
    assert media.decode_complaints(path) == ""


def test_a_grid_begins_at_once_and_goes_over_boundaries_unseen(live):
    with MuxClient(live.keepframe, ["one/main", "two/main"]) as client:
        client.read_until(lambda piece: all(
            media and media[-1].end - media[0].start > 6
            for media in (client.media(0), client.media(1))))
    for tile in (0, 1):
        pieces = client.media(tile)
        assert pieces[0].flags == KEY
        assert all(piece.flags & ~KEY == 0 for piece in pieces), "a boundary was seen"
        assert [piece.kind for piece in client.pieces if piece.tile == tile][:4] == \
            [STATE, DESCRIPTION, INIT, MEDIA]
    described = {piece.tile: piece.json for piece in client.pieces if piece.kind == DESCRIPTION}
    assert (described[0]["width"], described[0]["height"]) == (320, 180)
    assert (described[1]["width"], described[1]["height"]) == (480, 270)
    assert all(text["codecs"].startswith("avc1.") and not text["audio"]
               for text in described.values())
    states = [piece.json["state"] for piece in client.pieces if piece.kind == STATE]
    assert states == ["recording", "recording"]


def test_a_second_viewer_gets_the_group_of_pictures_that_is_kept(live):
    """What was sent since the last key frame comes first, and its age tells how old it is."""
    with MuxClient(live.keepframe, ["one/main"]) as first:
        first.read_until(lambda piece: piece.kind == MEDIA)
        first.read_until(lambda piece: piece.kind == MEDIA and piece.key)
        first.read_until(lambda piece: piece.kind == MEDIA)
        with MuxClient(live.keepframe, ["one/main"]) as second:
            early = second.read_until(lambda piece: piece.kind == MEDIA)
            late = second.read_until(lambda piece: piece.kind == MEDIA)
        assert early.key and early.age > 0.2
        known = {piece.start: piece.body for piece in first.media()}
        assert known[early.start] == early.body and known.get(late.start, late.body) == late.body


def test_one_tile_may_have_sound(live):
    with MuxClient(live.keepframe, ["one/main", "one/main"], audio=1) as client:
        client.read_until(lambda piece: client.media(0) and client.media(1))
    described = {piece.tile: piece.json for piece in client.pieces if piece.kind == DESCRIPTION}
    assert not described[0]["audio"] and "," not in described[0]["codecs"]
    assert described[1]["audio"] and described[1]["codecs"].endswith(",mp4a.40.2")


def test_forty_viewers_cost_no_thread_and_hardly_any_time(live, is_long):
    keepframe = live.keepframe
    webui = keepframe.program_pid("keepframe-webui")
    clients = [MuxClient(keepframe, ["one/main", "two/main"])]
    try:
        clients[0].read_until(lambda piece: piece.kind == MEDIA)
        threads = len(os.listdir(f"/proc/{webui}/task"))
        clients += [MuxClient(keepframe, ["one/main", "two/main"]) for _ in range(39)]
        for client in clients:
            client.read_until(lambda piece: piece.kind == MEDIA)
        assert len(os.listdir(f"/proc/{webui}/task")) <= threads
        keepframe.wait_for("all are counted", lambda: "keepframe_live_clients 40" in
                           keepframe.get("/metrics").body.decode())
        took = []
        for _ in range(50):
            begun = time.monotonic()
            keepframe.get("/static/api.js").expect(200)
            took.append(time.monotonic() - begun)
        print(f"a small request beside forty viewers: median {statistics.median(took) * 1000:.1f} ms, "
              f"most {max(took) * 1000:.1f} ms")
        assert not is_long or statistics.median(took) < 0.02
    finally:
        for client in clients:
            client.close()
    keepframe.wait_for("all have gone", lambda: "keepframe_live_clients 0" in
                       keepframe.get("/metrics").body.decode())


def test_what_can_not_be_shown_is_refused_by_name(live):
    def error(path, status):
        return live.keepframe.get(path).expect(status).json["error"]

    assert error("/live/one/nothing.mp4", 404)["code"] == "stream_not_found"
    assert error("/live/mux", 400)["field"] == "tiles"
    assert error("/live/mux?tiles=", 400)["field"] == "tiles"
    assert error("/live/mux?tiles=one", 400)["field"] == "tiles"
    assert error("/live/mux?tiles=one/main,,two/main", 400)["message"].count("number 2") == 1
    assert error("/live/mux?tiles=one/main,three/main", 404)["code"] == "stream_not_found"
    assert error("/live/mux?tiles=" + ",".join(["one/main"] * 65), 400)["code"] == "too_many_tiles"
    assert error("/live/mux?tiles=one/main&audio=1", 400)["field"] == "audio"
    assert error("/live/mux?tiles=" + "a" * 20_000, 400)["field"] == "tiles"
    assert live.keepframe.http("HEAD", "/live/one/main.mp4").status == 200


def test_the_archive_has_the_same_frames(live, taken):
    """Nothing missing, nothing twice."""
    keepframe = live.keepframe
    sent = [packet.hash for packet in media.packets(taken)]

    def filed():
        return [hash for row in keepframe.sealed("one")
                for hash in media.frame_hashes(keepframe.segment_file(row))]

    keepframe.wait_for("the archive has it all", lambda: sent[-1] in (kept := filed()) and
                       sent == kept[kept.index(sent[0]):][:len(sent)], timeout=90)


def test_over_half_a_link_every_tile_advances_and_is_soon_back(live):
    """A proxy lets half of what is needed through, then all."""
    tiles = ["one/main", "two/main"]
    with MuxClient(live.keepframe, tiles) as client:
        client.read_until(lambda piece: client.media() and
                          client.media()[-1].end - client.media()[0].start > 4)
        used = [piece for piece in client.pieces if piece.kind == MEDIA]
        seconds = client.media()[-1].end - client.media()[0].start
        rate = sum(len(piece.body) for piece in used) / seconds
    with SlowLink(live.keepframe.address(), rate / 2) as link, \
            MuxClient(live.keepframe, tiles, address=link.address) as client:
        # read() checks that what follows a drop begins with a key frame.
        client.read_until(lambda piece: all(
            sum(bool(piece.flags & CATCH_UP) for piece in client.media(tile)) >= 2
            for tile in (0, 1)))
        for tile in (0, 1):
            jumps = [later.start - earlier.end for earlier, later in
                     zip(client.media(tile), client.media(tile)[1:])]
            assert max(jumps) < 8, "a tile was starved"
        link.release()
        caught_up = {}
        while len(caught_up) < 2:
            piece = client.read_until(lambda piece: piece.kind == MEDIA)
            if piece.age < 0.5:
                caught_up[piece.tile] = True
    dropped = live.keepframe.get("/metrics").body.decode().split("live_fragments_dropped_total ")[-1]
    assert float(dropped.split()[0]) > 0


def test_a_new_run_goes_on_with_a_key_frame(rough, tmp_path):
    keepframe = rough.keepframe
    path = tmp_path / "live.mp4"
    with MuxClient(keepframe, ["two/main", "one/main"]) as client, \
            MovieClient(keepframe, "two") as movie:
        client.read_until(lambda piece: piece.kind == MEDIA and piece.tile == 0)
        movie.read_fragments(3)
        os.kill(keepframe.wait_recorder("two"), signal.SIGKILL)
        fresh = client.read_until(lambda piece: piece.tile == 0 and piece.flags & NEW_RUN)
        assert fresh.key and fresh.flags & DISCONTINUITY and not fresh.flags & CATCH_UP
        assert fresh.start < 3, "a run's clock begins anew"
        assert not any(piece.flags & (NEW_RUN | DISCONTINUITY) for piece in client.media(1))
        movie.read_fragments(10)
    path.write_bytes(movie.data)
    times = sorted(packet.pts for packet in media.packets(path))
    assert max(later - earlier for earlier, later in zip(times, times[1:])) < 0.25
    assert media.decode_complaints(path) == ""


def test_sound_that_falls_silent_holds_no_picture_up(rough):
    keepframe = rough.keepframe
    with MuxClient(keepframe, ["one/main"]) as client:
        client.read_until(lambda piece: piece.kind == MEDIA)
        rough.camera.command("hush", "one", 4)
        start = client.media()[-1].end
        client.read_until(lambda piece: piece.kind == MEDIA and piece.end > start + 4)
    assert all(piece.flags & ~KEY == 0 for piece in client.media())


def test_silence_stands_in_for_sound_that_has_stopped(rough, tmp_path):
    """Sound reaches as far as the picture all the time, or a player would wait for it."""
    path = tmp_path / "live.mp4"
    with MovieClient(rough.keepframe, "one", audio=1) as movie:
        movie.read_fragments(3)
        rough.camera.command("hush", "one", 4)
        while movie.read_fragments(1) and len(media.boxes_in(movie.data)) < 2 + 2 * 24:
            pass
    path.write_bytes(movie.data)
    sound, picture = media.packets(path, "audio"), media.packets(path)
    holes = [later.pts - earlier.pts - earlier.duration for earlier, later in zip(sound, sound[1:])]
    assert max(holes) < 0.1, max(holes)
    assert abs(sound[-1].pts - picture[-1].pts) < 1
    assert len({packet.hash for packet in sound}) < len(sound) - 50, "no silence was made"
    assert media.decode_complaints(path) == ""


def test_states_tell_why_nothing_comes(rough):
    keepframe = rough.keepframe
    with MuxClient(keepframe, ["two/main"]) as client:
        client.read_until(lambda piece: piece.kind == MEDIA)
        assert keepframe.command("disable", "two").returncode == 0
        client.read_until(lambda piece: piece.kind == STATE and piece.json["state"] == "off")
        assert keepframe.command("enable", "two").returncode == 0
        client.read_until(lambda piece: piece.kind == STATE and piece.json["state"] == "recording")
        client.read_until(lambda piece: piece.kind == MEDIA and piece.flags & NEW_RUN)
        rough.camera.command("stall", "two", 4)
        client.read_until(lambda piece: piece.kind == STATE and piece.json["state"] == "stalled")
    assert {piece.json["state"] for piece in client.pieces if piece.kind == STATE} == \
        {"off", "recording", "stalled"}


def test_it_stops_cleanly_under_the_eyes_of_its_viewers(rough):
    clients = [MuxClient(rough.keepframe, ["one/main"]), MovieClient(rough.keepframe, "two")]
    clients[0].read_until(lambda piece: piece.kind == MEDIA)
    clients[1].read_fragments(1)
    rough.keepframe.stop()
    for client in clients:
        with pytest.raises((EOFError, OSError, http.client.HTTPException)):
            while True:
                client.take(1000)
        client.close()

