"""Cameras that do not send what MP4 takes, not what they announce, or not by TCP: video is recorded
all the same. One Keepframe records them all at once."""

import pytest

import media
from camera import Mount
from lab import Build, Lab

SHORT = {"length": 30}
MOUNTS = {
    "alaw": Mount("alaw", audio="alaw", **SHORT),
    "opus": Mount("opus", audio="opus", **SHORT),
    "forced": Mount("forced", audio="ulaw", **SHORT),
    "mute": Mount("mute", audio=True, mute=True, **SHORT),
    "mutelaw": Mount("mutelaw", audio="alaw", mute=True, **SHORT),
    "udp": Mount("udp", audio=True, transport="udp", **SHORT),
    "either": Mount("either", transport="udp", **SHORT),
    "lost": Mount("lost", transport="both", udp_lost=True, **SHORT),
    "midway": Mount("midway", audio="alaw", gop=600, length=48, join=True),
    "rarely": Mount("rarely", gop=1500, length=60),  # a key frame each minute
}
STREAMS = {
    "forced": {"audio": "copy"},
    "udp": {"transport": "udp"},
    "either": {"transport": "auto"},
    "lost": {"transport": "auto"},
}


class Odd:
    def __init__(self, keepframe):
        self.keepframe = keepframe

    def status(self, name):
        (found,) = [stream for stream in self.keepframe.ask("status")["result"]["streams"]
                    if stream["camera"] == name]
        return found

    def download(self, name, folder, count=2):
        """All but the open segment, as a file; and those segments."""
        rows = self.keepframe.wait_sealed(name, count)
        path = folder / f"{name}.mp4"
        answer = self.keepframe.download(name, start=rows[0].start_us / 1e6,
                                         end=f"{rows[-1].end_us / 1e6:.6f}")
        path.write_bytes(answer.expect(200).body)
        return path, rows


@pytest.fixture(scope="module")
def odd(request, pytestconfig):
    lab = Lab(Build(pytestconfig.getoption("--build")))
    failed_before = request.session.testsfailed
    try:
        camera = lab.camera(*MOUNTS.values(), name="camera")
        camera.command("stall", "lost", 6)  # longer than one attempt takes to find nothing
        keepframe = lab.keepframe("keepframe").configure(
            {name: {"url": camera.url(name), **STREAMS.get(name, {})} for name in MOUNTS},
            recording={"segment": "2s", "timeout": "2s"},
            ffmpeg={"input_options": ["no_such_option", "1"]})
        yield Odd(keepframe.start().wait_ready())
    finally:
        failed = request.session.testsfailed > failed_before
        lab.close(keep_in=lab.build.folder / "e2e-logs" / "odd-cameras" if failed else None)


def codecs(path):
    return [stream["codec_name"] for stream in media.probe(path)["streams"]]


def test_g711_is_encoded_and_plays(odd, tmp_path):
    path, rows = odd.download("alaw", tmp_path, 3)
    assert codecs(path) == ["h264", "aac"]
    assert media.decode_complaints(path) == ""
    sound = media.packets(path, "audio")
    lasts = sum(row.end_us - row.start_us for row in rows) / 1e6
    assert lasts > 5 and sum(packet.duration for packet in sound) == pytest.approx(lasts, abs=1.5)
    status = odd.status("alaw")
    assert status["restarts_by_reason"] == {"codec": 1}
    assert len(odd.keepframe.log_lines("alaw/main", "the audio alone is encoded")) == 1


def test_opus_is_copied(odd, tmp_path):
    path, rows = odd.download("opus", tmp_path)
    assert codecs(path) == ["h264", "opus"]
    assert media.decode_complaints(path) == ""
    assert rows[0].track("audio")["codec"].lower() == "opus"
    assert odd.status("opus")["restarts"] == 0


def test_a_forced_copy_that_mp4_refuses_is_recorded_without_audio(odd, tmp_path):
    path, _ = odd.download("forced", tmp_path, 1)
    assert codecs(path) == ["h264"]
    assert odd.keepframe.log_lines("forced/main", " warning: ", "without audio from now on")


def test_announced_audio_that_never_comes_delays_no_video(odd):
    """Held back, video would come ten seconds late, from the first frame on."""
    first = odd.keepframe.wait_sealed("mute", 2)[0]
    assert first.start_us / 1e6 - first.run / 1e3 < 8
    assert odd.status("mute")["restarts"] == 0


def test_announced_audio_that_is_encoded_and_never_comes_is_left_out(odd):
    """What ffmpeg held back while it waited for the audio is written."""
    odd.keepframe.wait_log("mutelaw/main", "announces audio and sends none")
    rows = odd.keepframe.wait_sealed("mutelaw", 4)
    first = min(row.run for row in rows)
    held_back = [row for row in rows if row.run == first]
    assert sum(row.end_us - row.start_us for row in held_back) > 4_000_000
    assert odd.keepframe.wait_open("mutelaw", run_after=first)


def test_udp_loses_nothing_on_loopback(odd, tmp_path):
    path, rows = odd.download("udp", tmp_path)
    assert odd.status("udp")["transport"] == "udp"
    assert codecs(path) == ["h264", "aac"]
    files = [odd.keepframe.segment_file(row) for row in rows]
    kept = [picture for file in files for picture in media.picture_hashes(file, "h264")]
    sent = MOUNTS["udp"].sent_pictures(odd.keepframe.lab.build)
    begin = sent.index(kept[0])
    assert kept == (sent * 2)[begin:begin + len(kept)]


def test_auto_finds_a_camera_that_has_udp_alone(odd):
    odd.keepframe.wait_sealed("either", 1)
    status = odd.status("either")
    assert status["transport"] == "udp"
    assert status["restarts_by_reason"] == {"configuration": 1}


def test_auto_returns_from_udp_that_yields_nothing(odd):
    """TCP was silent at first, so UDP was tried, and never yields anything."""
    odd.keepframe.wait_log("lost/main", "no video came over TCP")
    odd.keepframe.wait_sealed("lost", 1)
    status = odd.status("lost")
    assert status["transport"] == "tcp"
    assert status["restarts_by_reason"]["no_frames"] >= 2


def test_an_unknown_option_is_told_once_and_recorded_over(odd):
    odd.keepframe.wait_sealed("opus", 1)
    status = odd.status("opus")
    assert status["last_reason"] == "configuration"
    assert "Unused options for" in status["last_words"]
    for name in MOUNTS:  # "alaw" and others have started more than once
        assert len(odd.keepframe.log_lines(f"{name}/main", " error: ", "Unused options")) == 1


def test_the_first_key_frame_is_waited_for(odd):
    """It comes after 12 s, and the audio that is encoded is there long before."""
    odd.keepframe.wait_for("it is recorded", lambda: odd.status("midway")["state"] == "recording")
    assert odd.status("midway")["restarts_by_reason"] == {"codec": 1}


def test_a_camera_without_key_frames_is_recorded_on_and_on(odd):
    """The last test: all the time that the others took, one file has grown."""
    odd.keepframe.wait_open("rarely", longer_than_us=15_000_000)
    status = odd.status("rarely")
    assert status["state"] == "recording" and status["restarts"] == 0
    assert [row.number for row in odd.keepframe.segments("rarely")] == [0]
