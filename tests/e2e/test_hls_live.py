"""Live HLS with low latency: the real chain from the camera to a reader of playlists."""

import os
import signal

import pytest

import media
from camera import Mount
from hlslive import CEILING_S, Player, attributes, parse
from lab import Lab

ONE = Mount("one", bframes=2, audio=True, gop=25, bitrate=800)
LONG = Mount("long", gop=150)


class Live:
    def __init__(self, lab, *mounts):
        self.camera = lab.camera(*mounts)
        self.keepframe = lab.keepframe()
        self.keepframe.configure(
            {mount.name: {"url": self.camera.url(mount.name)} for mount in mounts},
            recording={"segment": "7s"}).start().wait_ready()
        for mount in mounts:
            self.keepframe.wait_open(mount.name)


@pytest.fixture(scope="module")
def live(build):
    """Two streams that are being recorded, which tests share and do not disturb."""
    lab = Lab(build)
    try:
        yield Live(lab, ONE, LONG)
    finally:
        lab.close()


def packets_of(player, tmp_path, init, pieces):
    path = tmp_path / "piece.mp4"
    path.write_bytes(player.fetch(init) + b"".join(pieces))
    assert media.decode_complaints(path) == ""
    return media.packets(path)


def test_a_reload_waits_for_the_part_that_comes_next(live, tmp_path):
    """Each answer has the part that was asked for, and the file has it: every packet of it is
    there."""
    player = Player(live.keepframe, "one")
    player.load()
    assert player.playlist.control["CAN-BLOCK-RELOAD"] == "YES"
    known = {part.uri for part in player.playlist.parts}
    followed = []
    for _ in range(5):
        player.follow()
        fresh = [part for part in player.playlist.parts if part.uri not in known]
        known |= {part.uri for part in fresh}
        followed += [(part, player.playlist.segments[-1].map, player.fetch(part.uri))
                     for part in fresh]
    assert len(followed) >= 5
    # A file's first fragments are short, as it begins with a key frame.
    assert all(0.3 < part.duration < 0.61 for part, _, _ in followed)
    packets = packets_of(player, tmp_path, followed[0][1],
                         [followed[0][2]] if followed[0][0].independent else
                         [data for part, _, data in following_key(followed)])
    assert packets[0].key


def following_key(followed):
    first = next(index for index, (part, _, _) in enumerate(followed) if part.independent)
    return followed[first:]


def test_a_whole_segment_can_be_waited_for_and_is_its_parts(live, tmp_path):
    player = Player(live.keepframe, "one")
    player.load()
    for _ in range(2):
        wanted = player.playlist.next[0]
        playlist = player.take(player.answer(player.wait_for(wanted)))
        segment = next(segment for segment in playlist.complete if segment.sequence == wanted)
        data = player.fetch(segment.uri)
        assert data == b"".join(player.fetch(part.uri) for part in segment.parts)
        times = sorted(packet.pts for packet in
                       packets_of(player, tmp_path, segment.map, [data]))
        assert times[-1] - times[0] + 0.04 == pytest.approx(segment.duration, abs=0.002)
    # The sound is not asked for.
    assert [stream["codec_type"] for stream in media.probe(tmp_path / "piece.mp4")["streams"]] == [
        "video"]


def test_its_clock_is_the_archives(live, tmp_path):
    """The same frame has the same time in the media of both, and nearly the same date."""
    keepframe = live.keepframe
    player = Player(keepframe, "one")
    segment = player.load().complete[0]
    packets = packets_of(player, tmp_path, segment.map, [player.fetch(segment.uri)])
    times = {packet.hash: packet.pts for packet in packets}
    row = keepframe.wait_for("it is filed", lambda: next(
        (row for row in keepframe.sealed("one") if row.id.split("/")[-1] in segment.uri), None))
    listed = keepframe.get("/hls/one/main/vod.m3u8", {
        "start": row.start_us / 1e6, "end": row.end_us / 1e6}).expect(200).body.decode()
    init = next(attributes(line)["URI"] for line in listed.splitlines() if "MAP" in line)
    item = next(line for line in listed.splitlines() if not line.startswith("#") and
                row.id.split("/")[-1] in line)
    archived = packets_of(player, tmp_path, init, [player.fetch(item)])
    same = [(packet.pts, times[packet.hash]) for packet in archived if packet.hash in times]
    assert len(same) > 20
    assert all(filed == pytest.approx(lively, abs=0.002) for filed, lively in same)
    begin = min(packet.pts for packet in archived)
    offset = min(times.values()) - begin
    assert abs(segment.wall_us - row.start_us - offset * 1e6) < 1e6


def test_a_long_group_of_pictures_is_one_segment(live):
    player = Player(live.keepframe, "long")
    player.load()
    while not player.playlist.complete or player.playlist.open is None or \
            len(player.playlist.open.parts) < 2:
        player.follow()
    segment = player.playlist.complete[-1]
    assert 5.9 < segment.duration < 6.1 and player.playlist.target >= 6
    assert [part.independent for part in segment.parts[:3]] == [True, False, False]


def test_ffmpeg_plays_it(live):
    url = live.keepframe.url("/hls/one/main/live.m3u8", {"audio": 1})
    done = media.run("ffmpeg", "-v", "warning", "-nostdin", "-i", url, "-t", "5", "-map", "0:v",
                     "-f", "framemd5", "-", "-map", "0:a", "-t", "5", "-f", "null", "-")
    frames = [int(line.split(",")[1]) for line in done.stdout.decode().splitlines()
              if not line.startswith("#")]
    assert len(frames) > 110 and frames == list(range(frames[0], frames[0] + len(frames)))
    assert "error" not in done.stderr.decode().lower()


def test_the_master_names_what_is_live(live):
    keepframe = live.keepframe
    lines = keepframe.get("/hls/one/master.m3u8").expect(200).body.decode().splitlines()
    info = attributes(next(line for line in lines if "STREAM-INF" in line).partition(":")[2])
    assert info["CODECS"].startswith("avc1.") and "," not in info["CODECS"]
    assert lines[-1] == "main/live.m3u8"
    lines = keepframe.get("/hls/one/master.m3u8", {"audio": 1}).expect(200).body.decode().splitlines()
    assert lines[-1] == "main/live.m3u8?audio=1" and "mp4a.40.2" in "".join(lines)
    assert keepframe.get("/hls/one/master.m3u8", {"start": 1}).expect(400).json["error"]["field"] == \
        "end"


def test_waiting_reloads_cost_no_thread_and_hold_nobody_up(live):
    keepframe = live.keepframe
    webui = keepframe.program_pid("keepframe-webui")
    players = [Player(keepframe, "long", source=f"127.0.1.{index // 2 + 1}") for index in range(20)]
    playlist = players[0].load()
    threads = len(os.listdir(f"/proc/{webui}/task"))
    wanted = playlist.next[0]
    waiting = [player.wait_for(wanted) for player in players]
    # One more of a client that waits twice already is answered at once, and told not to wait.
    refused = parse(players[0].answer(players[0].wait_for(wanted)).expect(200).body.decode())
    if refused.next[0] == wanted:  # else the segment was complete meanwhile
        assert "CAN-BLOCK-RELOAD" not in refused.control
    assert keepframe.get("/healthz").status == 200
    assert len(os.listdir(f"/proc/{webui}/task")) <= threads
    for player, connection in zip(players, waiting):
        assert player.take(player.answer(connection)).next[0] > wanted


def test_what_can_not_be_waited_for_is_refused(live):
    player = Player(live.keepframe, "one")
    sequence, part = player.load().next

    def error(status, **params):
        return player.answer(player.ask("live.m3u8", params)).expect(status).json["error"]

    assert error(400, _HLS_part=1)["field"] == "_HLS_msn"
    assert error(400, _HLS_msn=sequence + 3)["code"] == "too_far_ahead"
    assert error(400, _HLS_msn="x")["field"] == "_HLS_msn"
    assert error(400, _HLS_msn=-1)["field"] == "_HLS_msn"
    # What is past is there already.
    parse(player.answer(player.wait_for(1, 7)).expect(200).body.decode())
    listed = player.playlist.parts[0].uri
    run, number, index = listed.removeprefix("part-").removesuffix(".m4s").split("-")
    for name in (f"part-{run}-{number}-9999.m4s", f"part-{run}-{number}-{index}x.m4s",
                 f"live-{run}-{number}-1-0.m4s", f"live-{int(run) + 1}-{number}.mp4",
                 "part-nonsense.m4s", "live-nonsense.mp4"):
        assert player.answer(player.ask(name)).expect(404).json["error"]["code"] == \
            "segment_not_found"
    assert live.keepframe.get("/hls/one/other/live.m3u8").expect(404).json["error"]["code"] == \
        "stream_not_found"
    # A part can be asked for in part, and kept.
    whole = player.answer(player.ask(listed)).expect(200)
    piece = live.keepframe.get(player.folder + listed, headers={"Range": "bytes=100-299"})
    assert piece.expect(206).body == whole.body[100:300]
    assert "immutable" in whole.headers["Cache-Control"] and whole.headers["ETag"]


def test_a_restart_of_the_recorder_is_a_discontinuity(lab, tmp_path):
    """A waiting reload lives through it; sound that falls silent holds no list up."""
    live = Live(lab, ONE)
    keepframe = live.keepframe
    player, sound = Player(keepframe, "one"), Player(keepframe, "one", audio=1)
    before = player.load().segments[-1]
    sound.load()
    os.kill(keepframe.wait_recorder("one"), signal.SIGKILL)
    while player.playlist.segments[-1].discontinuity == before.discontinuity:
        player.follow()
    live.camera.command("hush", "one", 600)
    sound.load()
    for _ in range(4):
        player.follow()
    fresh = [segment for segment in player.playlist.segments
             if segment.discontinuity == before.discontinuity + 1]
    assert fresh[0].parts[0].independent
    old = player.playlist.segments[0]
    pieces = [player.fetch(part.uri) for part in fresh[0].parts]
    packets = packets_of(player, tmp_path, fresh[0].map, pieces)
    # Media time is the run's start and on, so it grows from run to run.
    earlier = packets_of(player, tmp_path, old.map, [player.fetch(old.parts[0].uri)])
    assert packets[0].pts > max(packet.pts for packet in earlier)
    run = int(fresh[0].parts[0].uri.split("-")[1])
    assert 0 <= packets[0].pts - run // 1000 < 5
    assert abs(fresh[0].wall_us / 1e6 - run / 1000) < CEILING_S
    for _ in range(4):
        sound.follow()
