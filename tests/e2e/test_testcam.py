"""The test camera itself: what the other whole-system tests take for granted about it."""
import hashlib
import json
import re
import signal
import socket
import struct
import subprocess
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest

import picture

PASSWORD = "p%\"9'@:/w&x=Q[7]"

# Mends the first access unit of an RTSP session, which ffmpeg delivers without a time.
SETTS = ("setts=pts='if(eq(PTS,NOPTS),if(eq(NEXT_PTS,NEXT_DTS),NEXT_PTS-DURATION,"
         "NEXT_PTS-4*DURATION),PTS)':dts='if(eq(N,0),if(eq(NEXT_PTS,NEXT_DTS),NEXT_PTS-DURATION,"
         "NEXT_PTS-8*DURATION),if(eq(PTS,DTS)*eq(PREV_OUTPTS,PREV_OUTDTS),DTS,"
         "if(lt(N,4),PREV_OUTDTS+DURATION,DTS)))'")


SMALL = "width=320,height=180"

# What ffprobe calls the audio, and how long its units are.
VOICES = {"aac": ("aac", 1024 / 48000), "alaw": ("pcm_alaw", 0.02), "ulaw": ("pcm_mulaw", 0.02),
          "opus": ("opus", 0.02)}


class Camera:
    def __init__(self, binary, folder, cache, *arguments, password=None):
        self.folder, self.password = folder, password
        command = [binary, "--port-file", folder / "port", "--cache", cache]
        if password:
            (folder / "password").write_text(password + "\n")
            command += ["--user", "nvr", "--password-file", folder / "password"]
        self.process = subprocess.Popen([*command, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def wait(self):
        """Waits until clients may come."""
        line = self.process.stdout.readline()
        self.port = int((self.folder / "port").read_text())
        assert line == f"testcam: listening on rtsp://127.0.0.1:{self.port}/\n"
        return self

    def command(self, line):
        """What the camera says to a command."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def url(self, mount, password=None):
        password = password or self.password
        user = f"nvr:{urllib.parse.quote(password, safe='')}@" if password else ""
        return f"rtsp://{user}127.0.0.1:{self.port}/{mount}"

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
        self.process.stdin.close()
        return self.process.wait(10)


@pytest.fixture
def camera(build, tmp_path):
    """A function that starts a camera; they all end with the test."""
    started = []

    def start(*arguments, **options):
        folder = tmp_path / f"camera-{len(started)}"
        folder.mkdir()
        started.append(Camera(
            build.program("testcam"), folder, options.pop("cache", build.camera_cache),
            *arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.end()


def record(url, path, seconds, *options, media=None, transport="tcp", container="mp4"):
    """Records as a recorder does, without decoding; returns what ffmpeg said."""
    inputs = ["-allowed_media_types", media] if media else []
    video = [] if media == "audio" else ["-bsf:v", SETTS]
    result = subprocess.run(
        ["ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-y", "-rtsp_transport", transport,
         "-timeout", "2000000", *inputs, "-i", url, "-t", str(seconds), "-map", "0", "-c", "copy",
         *video, *options, "-f", container, path], capture_output=True, text=True, timeout=60)
    return result.stderr


def packets(path, kind):
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", f"{kind}:0", "-show_entries",
         "packet=pts_time,dts_time,flags", "-of", "json", path], check=True, capture_output=True)
    return json.loads(probe.stdout)["packets"]


def picture_types(path):
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pict_type",
         "-of", "csv=p=0", path], check=True, capture_output=True, text=True)
    return re.sub("[^IPB]", "", probe.stdout)


def decode_errors(path):
    return subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", "0", "-f", "framemd5", "-y", "/dev/null"],
        capture_output=True, text=True).stderr


def steps(times):
    return [b - a for a, b in zip(times, times[1:])]


@pytest.mark.parametrize("mount, password, pattern", [
    ("h264,codec=h264", None, "IP{24}"),
    ("h264,codec=h264", PASSWORD, "IP{24}"),
    ("h264b,codec=h264,bframes=2,audio=aac,rtcp=500", PASSWORD, "I(BBP){8}"),
    ("h265b,codec=h265,bframes=3,audio=aac,rtcp=500", PASSWORD, "I(BBBP){6}"),
    ("h265b,codec=h265,bframes=3,audio=aac,rtcp=500", None, "I(BBBP){6}"),
])
def test_serves_what_was_asked_for(camera, tmp_path, mount, password, pattern):
    one = camera(mount, password=password).wait()
    path = tmp_path / "out.mp4"

    assert record(one.url(mount.split(",")[0]), path, 4) == ""
    assert decode_errors(path) == ""
    assert re.fullmatch(f"[IPB]*?({pattern}){{2,}}[IPB]*", picture_types(path))
    video = packets(path, "v")
    assert 90 <= len(video) <= 110
    decoded = [float(p["dts_time"]) for p in video]
    assert all(a < b for a, b in zip(decoded, decoded[1:]))
    assert len(packets(path, "a") if "aac" in mount else []) == pytest.approx(
        4 * 48000 / 1024 if "aac" in mount else 0, abs=25)
    # The end may fall between a frame and those that are shown before it.
    shown = picture.frames(path, 640)[:-4]
    assert [n for _, n in shown] == [(shown[0][1] + i) % 600 for i in range(len(shown))]
    # No jump with the first sender report, but for where ffmpeg and the report round.
    assert all(s == pytest.approx(0.04, abs=0.006) for s in steps([t for t, _ in shown[5:]]))
    heard = [float(p["pts_time"]) for p in packets(path, "a")] if "aac" in mount else []
    assert all(s == pytest.approx(1024 / 48000, abs=0.006) for s in steps(heard[5:]))


def test_refuses_a_wrong_password(camera, tmp_path):
    one = camera("cam", password=PASSWORD).wait()

    assert "401" in record(one.url("cam", password="x" + PASSWORD), tmp_path / "out.mp4", 1)
    one.password = None
    assert "401" in record(one.url("cam"), tmp_path / "out.mp4", 1)


def test_wraps_without_a_hole_or_an_overlap(camera, tmp_path):
    one = camera("eye,bframes=2,length=2", "ear,audio=aac,length=2").wait()
    video, audio = tmp_path / "video.mp4", tmp_path / "audio.mp4"

    # The audio's own loop is 8 s.
    with ThreadPoolExecutor() as pool:
        eye = pool.submit(record, one.url("eye"), video, 6)
        ear = pool.submit(record, one.url("ear"), audio, 9, media="audio")
    assert eye.result() == ear.result() == ""
    shown = picture.frames(video, 640)[4:-4]
    assert [n for _, n in shown].count(0) >= 2
    assert [n for _, n in shown] == [(shown[0][1] + i) % 50 for i in range(len(shown))]
    assert all(step == pytest.approx(0.04, abs=0.001) for step in steps([t for t, _ in shown]))

    heard = [float(p["pts_time"]) for p in packets(audio, "a")][2:]
    assert heard[-1] - heard[0] > 8.2
    assert all(step == pytest.approx(1024 / 48000, abs=0.001) for step in steps(heard))
    assert decode_errors(audio) == ""


def test_shows_the_wall_clock_when_asked(camera):
    one = camera("cam,clock=wall,length=10").wait()
    options = ["-rtsp_transport", "tcp", "-fflags", "nobuffer", "-flags", "low_delay", "-threads", "1"]
    late = []

    for number in picture.bands(one.url("cam"), 640, [*options, "-t", "4"]):
        late.append((time.time() - number / 25) % 10)
    assert len(late) > 50
    assert all(seconds < 2 for seconds in late)
    assert min(late) < 0.3


def test_serves_again_after_each_client_and_several_at_once(camera, tmp_path):
    one = camera("cam,bframes=2,audio=aac").wait()
    command = ["ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", one.url("cam"),
               "-c", "copy", "-flush_packets", "1", "-f", "h264", "pipe:1"]

    for _ in range(5):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
            assert client.stdout.read(4096)
            client.kill()
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    for client in clients:
        assert len(client.stdout.read(100000)) == 100000
        client.kill()
        client.communicate()
    assert record(one.url("cam"), tmp_path / "out.mp4", 2) == ""


def test_goes_on_after_a_stop_without_a_burst(camera, tmp_path):
    one = camera("cam,length=10").wait()
    path = tmp_path / "out.mkv"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-timeout", "9000000",
               "-i", one.url("cam"), "-t", "6", "-c", "copy", "-progress", "pipe:1",
               "-stats_period", "0.1", path]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        for line in client.stdout:
            if line.startswith("out_time_us=") and line[12:].strip().isdigit() and int(line[12:]) > 1e6:
                break
        one.process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        one.process.send_signal(signal.SIGCONT)
        client.stdout.read()
        assert client.wait(30) == 0
    shown = picture.frames(path, 640)[2:]
    jumps = [(b[0] - a[0], (b[1] - a[1]) % 250, b[1]) for a, b in zip(shown, shown[1:])
             if b[0] - a[0] > 0.1]
    assert len(jumps) == 1
    seconds, count, number = jumps[0]
    assert 2 < seconds < 4.5
    assert count == round(seconds * 25)
    assert number % 25 == 0
    assert record(one.url("cam"), tmp_path / "again.mp4", 2) == ""


def test_sends_reports_at_the_interval_asked_for(camera):
    one = camera("cam,rtcp=500").wait()
    peer = socket.create_connection(("127.0.0.1", one.port), 10)
    stream = peer.makefile("rb")
    base, session = one.url("cam"), ""

    def ask(method, url, *headers):
        ask.number += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {ask.number}", *headers, "", ""]
        peer.sendall("\r\n".join(lines).encode())
        reply = b""
        while not reply.endswith(b"\r\n\r\n"):
            reply += stream.readline()
        assert b" 200 " in reply, reply
        length = re.search(rb"Content-Length: (\d+)", reply)
        return (reply + stream.read(int(length[1]) if length else 0)).decode()

    ask.number = 0
    control = re.search(r"m=video.*?a=control:(\S+)", ask("DESCRIBE", base), re.S)[1]
    control = control if control.startswith("rtsp:") else f"{base}/{control}"
    reply = ask("SETUP", control, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
    session = re.search(r"Session: ([^;\r]+)", reply)[1]
    ask("PLAY", base, f"Session: {session}")
    began, reports = time.monotonic(), []
    while time.monotonic() - began < 5:
        magic, channel, length = struct.unpack(">cBH", stream.read(4))
        body = stream.read(length)
        assert magic == b"$"
        if channel == 1 and body[1] == 200:
            reports.append(time.monotonic() - began)
    peer.close()
    assert reports[0] < 1
    # RFC 3550 varies the interval by half of it up and down.
    assert 5 <= len(reports) <= 20


def codecs(path):
    probe = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of",
                            "csv=p=0", path], check=True, capture_output=True, text=True)
    return probe.stdout.split()


def test_speaks_with_every_voice(camera, tmp_path):
    """Matroska takes them all. The beep at each full second shows that nothing is lost or doubled."""
    one = camera(*(f"{name},audio={name},{SMALL}" for name in VOICES)).wait()
    paths = {name: tmp_path / f"{name}.mkv" for name in VOICES}

    with ThreadPoolExecutor() as pool:
        said = list(pool.map(lambda name: record(one.url(name), paths[name], 4,
                                                  container="matroska"), VOICES))
    assert said == ["" for _ in VOICES]
    for name, (codec, unit_s) in VOICES.items():
        assert codecs(paths[name]) == ["h264", codec]
        heard = [float(p["pts_time"]) for p in packets(paths[name], "a")][5:]
        assert heard[-1] - heard[0] > 2
        assert all(step == pytest.approx(unit_s, abs=0.002) for step in steps(heard)), name
        assert decode_errors(paths[name]) == ""


def test_is_silent_where_it_announced_a_voice(camera):
    one = camera(f"cam,audio=aac,mute=1,{SMALL}").wait()

    with client_of(one, "-map", "0", "-max_interleave_delta", "500000", "-f", "framehash",
                   "-") as client:
        lines = [client.stdout.readline() for _ in range(70)]
        client.kill()
    assert "#codec_id 1: aac\n" in lines
    sent = [line[0] for line in lines if not line.startswith("#")]
    assert sent == ["0"] * len(sent) and len(sent) > 25


def test_sends_by_udp_where_it_is_asked_to(camera, tmp_path):
    one = camera(f"tcp,{SMALL}", f"udp,transport=udp,{SMALL}", f"lost,transport=both,udp_lost=1,{SMALL}").wait()
    path = tmp_path / "out.mp4"

    assert record(one.url("udp"), path, 2, transport="udp") == ""
    assert len(packets(path, "v")) > 25
    assert "461" in record(one.url("udp"), path, 2)
    assert "461" in record(one.url("tcp"), path, 2, transport="udp")
    assert "dimensions not set" in record(one.url("lost"), path, 2, transport="udp")
    assert record(one.url("lost"), path, 2) == ""


def test_its_clock_jumps_on_command(camera):
    one = camera(f"cam,{SMALL},rtcp=500").wait()
    times = []

    with client_of(one, "-f", "framehash", "-") as client:
        for line in client.stdout:
            if line.startswith("0,"):
                times.append(int(line.split(",")[1]) / 90000)
            if len(times) == 30:
                assert one.command("jump cam 40") == "testcam: done: jump cam 40\n"
            if len(times) == 80:
                client.kill()
    (jump,) = [step for step in steps(times[2:]) if step != pytest.approx(0.04, abs=0.01)]
    assert jump == pytest.approx(40.04, abs=0.01)


def client_of(one, *outputs):
    return subprocess.Popen(
        ["ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-timeout", "2000000", "-i",
         one.url("cam"), "-copyts", "-c", "copy", "-enc_time_base", "1:90000", "-flush_packets",
         "1", *outputs], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_goes_silent_and_hangs_up_on_command(camera):
    one = camera(f"cam,{SMALL},rtcp=500").wait()

    for command, last_words in [("stall cam 20", "Connection timed out"), ("close cam", "")]:
        with client_of(one, "-f", "framehash", "-") as client:
            for _ in range(30):
                client.stdout.readline()
            assert one.command(command) == f"testcam: done: {command}\n"
            client.stdout.read()
            assert last_words in client.stderr.read()
        assert client.returncode == 0
        one.command("stall cam 0")
    for command in ["stall nobody 1", "stall cam", "stall cam x", "dance cam 1", ""]:
        assert "testcam: done" not in one.command(command)


def test_ends_at_once_with_0(camera):
    one = camera("cam").wait()
    assert one.end() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", one.port))


def test_cameras_that_start_at_once_make_the_content_once(camera, tmp_path):
    cache = tmp_path / "cache"
    mount = "cam,width=320,height=180,length=2"
    several = [camera(mount, cache=cache) for _ in range(3)]

    for one in several:
        one.wait()
    assert [p.suffix for p in sorted(cache.iterdir())] == [".mkv", ".lock"]
    path = next(cache.glob("*.mkv"))
    before = (path.stat().st_ino, hashlib.sha256(path.read_bytes()).digest())
    camera(mount, cache=cache).wait()
    assert before == (path.stat().st_ino, hashlib.sha256(path.read_bytes()).digest())
    assert list(picture.bands(path, 320)) == list(range(50))


@pytest.mark.parametrize("mount, reason", [
    ("cam,codec=vp9", "codec must be one of h264, h265, vp8, none"),
    ("cam,codec=none", "there is neither video nor audio"),
    ("cam,codec=vp8,bframes=1", "vp8 has no B-frames"),
    ("cam,speed=2", "unknown key speed"),
    ("cam,fps=x", "fps must be a number"),
    ("cam,width=333", "width and height must be even"),
    ("cam,fps", "fps is not key=value"),
])
def test_names_a_bad_setting(build, mount, reason):
    result = subprocess.run([build.program("testcam"), mount], capture_output=True, text=True, timeout=10)
    assert result.returncode == 1
    assert f"testcam: {mount}: {reason}" in result.stderr
