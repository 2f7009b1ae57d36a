"""Bad input and bad surroundings: a clear message that names the thing and what to do."""

import json
import os
import shutil
import socket
import subprocess

import pytest

import media
import web
from camera import Mount
from waiting import wait_for

CONFIG, FAILURE, USAGE = 78, 1, 64
ONE = Mount("one", length=60)
NOBODY = 65534


@pytest.fixture
def keepframe(lab):
    """Configured for one camera that does not answer; not started."""
    keepframe = lab.keepframe()
    return keepframe.configure({"one": {"url": "rtsp://127.0.0.1:9/one"}})


def assert_refused(keepframe, *words, codes=(CONFIG, FAILURE), env=None, user=None):
    """It does not run, and a line of its log at level err says all these words."""
    code = keepframe.run_to_end(env=env, user=user)
    assert code in codes, f"exit code {code}\n{keepframe.log_tail()}"
    lines = [line for line in keepframe.log_lines(*words) if " err" in line or "keepframe:" in line]
    assert lines, f"no line of the log says {words}\n{keepframe.log_tail()}"
    return lines[0]


# --- The configuration

BROKEN = {
    "empty": ("", ["empty"]),
    "only a comment": ("# nothing\n", ["empty"]),
    "not a mapping": ("- a\n- b\n", [":1:"]),
    "no yaml": ("cameras: {one: [\n", [":2:"]),
    "tab": ("cameras:\n\tone: 1\n", [":2:"]),
    "unknown key": ("cameras: {}\nstorag: {}\n", [":2:1:", "storag", "storage"]),
    "double key": ("node: a\ncameras: {}\nnode: b\n", [":3:1:", "node"]),
    "bad name": ("cameras:\n  Front: {url: rtsp://127.0.0.1/x}\n", [":2:3:", "Front"]),
    "no url": ("cameras:\n  one: {}\n", [":2:", "one", "url"]),
    "http url": ("cameras:\n  one: {url: http://127.0.0.1/x}\n", [":2:", "url", "rtsp"]),
    "bare number": ("recording: {segment: 60}\ncameras: {}\n", [":1:", "segment"]),
    "out of range": ("recording: {segment: 1s}\ncameras: {}\n", [":1:", "segment", "2s"]),
    "bad type": ("recording: [1]\ncameras: {}\n", [":1:", "recording"]),
    "bad choice": ("cameras:\n  one: {url: rtsp://h/x, audio: loud}\n", [":2:", "audio", "loud"]),
    "unset variable": ("node: ${KEEPFRAME_TEST_UNSET}\ncameras: {}\n",
                       [":1:", "node", "KEEPFRAME_TEST_UNSET"]),
    "no password file": ("cameras:\n  one: {url: rtsp://h/x, username: u, "
                         "password_file: /no/such/file}\n", [":2:", "password_file",
                                                              "/no/such/file"]),
    "open to the world": ("http: {listen: 0.0.0.0:8080}\ncameras: {}\n",
                          [":1:", "http.listen", "loopback"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_configuration_is_refused_with_its_place_and_key(keepframe, case):
    text, words = BROKEN[case]
    keepframe.write_config(text)
    done = keepframe.command("check-config")
    assert done.returncode == CONFIG, done.stderr
    for word in [str(keepframe.config), *words]:
        assert word in done.stderr, done.stderr
    assert_refused(keepframe, str(keepframe.config), *words, codes=(CONFIG,))


def test_a_configuration_that_is_not_there_is_named(keepframe):
    keepframe.config.unlink()
    assert_refused(keepframe, str(keepframe.config), "No such file", codes=(CONFIG,))


def test_a_configuration_that_is_a_directory_is_named(keepframe):
    keepframe.config.unlink()
    keepframe.config.mkdir()
    assert_refused(keepframe, str(keepframe.config), codes=(CONFIG,))


def test_a_configuration_that_may_not_be_read_is_named(keepframe):
    keepframe.config.chmod(0)
    keepframe.data.mkdir()
    if os.geteuid() == 0:
        os.chown(keepframe.data, NOBODY, NOBODY)
    assert_refused(keepframe, str(keepframe.config), "Permission denied", codes=(CONFIG,),
                   user=NOBODY if os.geteuid() == 0 else None)


def test_no_camera_is_a_warning_and_no_error(keepframe):
    keepframe.configure({})
    done = keepframe.command("check-config")
    assert done.returncode == 0 and "camera" in done.stderr
    keepframe.start().wait_ready()
    assert keepframe.get("/api/v1/cameras").expect(200).json["cameras"] == []


@pytest.mark.parametrize("words", [["fly"], ["run", "--no-such-option"], ["run", "extra"], []])
def test_a_wrong_command_line_is_a_usage_error(lab, words):
    for program in ("keepframe", "keepframe-indexer", "keepframe-webui"):
        done = subprocess.run([lab.build.program(program), *words], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=30, env=lab.env())
        assert done.returncode == USAGE, f"{program} {words}: {done.returncode}"
        assert program in done.stderr and "usage" in done.stderr.lower()


def test_asking_needs_no_configuration_where_the_defaults_hold(lab, tmp_path):
    done = subprocess.run(
        [lab.build.program("keepframe"), "status", "--data", str(tmp_path)], capture_output=True,
        text=True, stdin=subprocess.DEVNULL, timeout=30, env=lab.env())
    assert done.returncode == FAILURE
    assert str(tmp_path / "run" / "control.sock") in done.stderr
    assert "not running" in done.stderr


# --- Folders and file systems


def test_a_cache_that_is_a_file_is_named(keepframe):
    keepframe.data.mkdir()
    keepframe.cache.write_text("")
    assert_refused(keepframe, "storage.cache", str(keepframe.cache))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have a folder that is another's")
def test_a_cache_that_may_not_be_written_is_named(keepframe):
    keepframe.config.chmod(0o644)
    for folder in (keepframe.data, keepframe.data / "video", keepframe.data / "run"):
        folder.mkdir()
        os.chown(folder, NOBODY, NOBODY)
    keepframe.cache.mkdir(mode=0o755)
    assert_refused(keepframe, "storage.cache", str(keepframe.cache), "ermission", user=NOBODY)


@pytest.mark.parametrize("fault, word", [("nolease", "lease"), ("nobtime", "birth"),
                                         ("nfs", "NFS")])
def test_a_cache_on_an_unfit_file_system_is_refused_by_name(lab, keepframe, fault, word):
    line = assert_refused(keepframe, "storage.cache", str(keepframe.cache), word,
                          env=lab.preload_env("faultfs.so", FAULT=fault))
    assert "local" in line or "ext4" in line or "xfs" in line, f"what to do is not said: {line}"


def test_a_volume_without_its_marker_is_not_written_to_and_footage_waits(lab):
    """As when its disk is not mounted: the directory is there, but it is not the volume."""
    camera = lab.camera(ONE)
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}}, recording={"segment": "2s"})
    keepframe.start().wait_ready()
    keepframe.wait_sealed("one", 1)
    keepframe.stop()
    away = keepframe.data / "unmounted"
    keepframe.video.rename(away)
    keepframe.video.mkdir()

    keepframe.start()
    line = keepframe.wait_log(str(keepframe.video), ".keepframe-volume")
    assert "mount" in line
    keepframe.wait_for("footage waits in the cache", lambda: len(keepframe.cache_files("one")) >= 4)
    answer = keepframe.wait_for("the web interface answers", lambda: keepframe.get("/healthz"))
    keepframe.wait_for("health names the volume", lambda: str(keepframe.video) in str(
        keepframe.get("/healthz").json.get("reasons")))
    assert answer.status == 503
    assert list(keepframe.video.iterdir()) == [], "something was written below the mount point"

    waiting = keepframe.cache_files("one")
    keepframe.video.rmdir()
    away.rename(keepframe.video)
    keepframe.wait_for("all of it is filed", lambda: not {path.name for path in waiting} & {
        path.name for path in keepframe.cache_files("one")})
    numbers = {(row.run, row.number) for row in keepframe.sealed("one")}
    for path in waiting:
        run, number = path.stem.split("-")
        assert (int(run), int(number)) in numbers, path.name
    keepframe.wait_ready()


# --- ffmpeg


def test_a_missing_ffmpeg_is_named(keepframe):
    keepframe.configure({"one": {"url": "rtsp://127.0.0.1:9/one"}},
                        ffmpeg={"path": "/no/such/ffmpeg"})
    assert_refused(keepframe, "ffmpeg.path", "/no/such/ffmpeg")


def test_an_old_ffmpeg_is_refused_with_its_version_and_the_one_needed(lab, keepframe):
    old = lab.build.tool("ffmpeg-old")
    keepframe.configure({"one": {"url": "rtsp://127.0.0.1:9/one"}}, ffmpeg={"path": old})
    line = assert_refused(keepframe, "ffmpeg.path", old, "5.1")
    version = subprocess.run([old, "-version"], capture_output=True, text=True).stdout.split()[2]
    assert version in line


# --- The web interface's port


def test_a_port_in_use_is_named_and_recording_goes_on(lab):
    camera = lab.camera(ONE)
    with socket.create_server(("127.0.0.1", 0)) as rival:
        address = f"127.0.0.1:{rival.getsockname()[1]}"
        keepframe = lab.keepframe()
        keepframe.configure({"one": {"url": camera.url("one")}}, http={"listen": address},
                            recording={"segment": "2s"})
        keepframe.start()
        keepframe.wait_log("http.listen", address)
        pid = keepframe.wait_recorder("one")
        keepframe.wait_for("footage is filed", lambda: keepframe.volume_files("one"))
    keepframe.wait_ready()  # the port is free now
    assert (keepframe.runtime / "webui.address").read_text().strip() == address
    assert keepframe.recorder_pid("one") == pid


# --- A catalog that is not there yet


def test_a_catalog_that_is_not_there_yet_is_told_as_such(lab, tmp_path):
    (tmp_path / "webui.json").write_text(json.dumps({
        "version": 1, "node": "n", "database": str(tmp_path), "cache": str(tmp_path / "cache"),
        "listen": "127.0.0.1:0", "volumes": [], "streams": [
            {"camera": "one", "stream": "main", "segment_us": 5000000, "enabled": True}]}))
    webui = subprocess.Popen(
        [lab.build.program("keepframe-webui"), "run", "--runtime", str(tmp_path)],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=lab.env())
    try:
        address = wait_for("it listens",
                           lambda: (tmp_path / "webui.address").read_text().strip())
        for where in ("/api/v1/cameras", "/api/v1/cameras/one/main/segments",
                      "/video/one/main.mp4?start=0&duration=60"):
            answer = web.request(address, "GET", where).expect(503)
            assert answer.headers["Retry-After"] == "1"
            assert answer.json["error"]["code"] == "catalog_busy"
            assert "catalog" in answer.json["error"]["message"]
        reasons = web.request(address, "GET", "/healthz").expect(503).json["reasons"]
        assert any("catalog" in reason for reason in reasons)
        assert not any("null" in reason for reason in reasons)
    finally:
        webui.terminate()
        assert webui.wait(15) == 0


# --- Files in the cache


def place(keepframe, name, data):
    """Drops a file into the cache as a recorder would leave it: written, then closed."""
    path = keepframe.cache / "one" / "main" / name
    path.write_bytes(data)
    return path


def quarantined(keepframe):
    return [path for path in (keepframe.video / ".quarantine").rglob("*") if path.is_file()]


@pytest.fixture
def recorded(lab):
    camera = lab.camera(ONE)
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}}, recording={"segment": "2s"})
    keepframe.start().wait_ready()
    keepframe.wait_sealed("one", 1)
    return keepframe


def whole_segment(keepframe):
    """The bytes of a segment as its recorder wrote it, from one that is open."""
    def probe():
        path = keepframe.newest_cache_file("one")
        data = path.read_bytes() if path else b""
        types = [box.type for box in media.boxes_in(data)]
        return data if types.count("moof") >= 2 and types.count("moov") == 1 else None
    return keepframe.wait_for("a segment has two fragments", probe)


CORRUPT = {
    "noise": lambda data: bytes((7 * n + n // 251) % 256 for n in range(100_000)),
    "zeros": lambda data: bytes(100_000),
    "a moov of nonsense": lambda data: data.replace(b"trak", b"junk"),
}


@pytest.mark.parametrize("case", CORRUPT)
def test_a_corrupt_segment_is_quarantined_whole_and_recording_goes_on(recorded, case):
    keepframe = recorded
    pid = keepframe.wait_recorder("one")
    data = CORRUPT[case](whole_segment(keepframe))
    path = place(keepframe, "1600000000000-000000.mp4", data)
    keepframe.wait_for("it has left the cache", lambda: not path.exists())
    keepframe.wait_for("it is in quarantine, unchanged", lambda: any(
        kept.read_bytes() == data for kept in quarantined(keepframe)))
    line = keepframe.wait_log("1600000000000-000000", "quarantine")
    assert "one/main" in line
    listed = keepframe.wait_for("it is listed", lambda: [
        entry for volume in keepframe.get("/api/v1/storage").json["volumes"]
        for entry in volume["quarantine"]["newest"] if volume["quarantine"]["files"] == 1])
    assert [(entry["name"], entry["reason"], entry["bytes"]) for entry in listed] == [
        ("one.main.1600000000000-000000.mp4", "unreadable", len(data))]
    assert listed[0]["detail"] in line
    assert keepframe.wait_sealed("one", 2, after=keepframe.sealed("one")[-1])
    assert keepframe.recorder_pid("one") == pid
    assert not [row for row in keepframe.segments("one") if row.run == 1600000000000]


EMPTY = {
    "no byte": lambda data: b"",
    "a torn head": lambda data: data[:200],
    "no fragment": lambda data: data[:data.index(b"moof") - 4],
}


@pytest.mark.parametrize("case", EMPTY)
def test_an_empty_segment_is_told_of_and_recording_goes_on(recorded, case):
    keepframe = recorded
    data = EMPTY[case](whole_segment(keepframe))
    kept = quarantined(keepframe)
    path = place(keepframe, "1600000000000-000000.mp4", data)
    keepframe.wait_for("it has left the cache", lambda: not path.exists())
    keepframe.wait_log("1600000000000-000000", "no byte of media")
    assert quarantined(keepframe) == kept
    assert keepframe.wait_sealed("one", 2, after=keepframe.sealed("one")[-1])


def test_a_torn_segment_is_saved_to_its_last_whole_sample(recorded):
    keepframe = recorded
    data = whole_segment(keepframe)
    last = [box for box in media.boxes_in(data) if box.type == "mdat"][-1]
    torn = data[:last.offset + last.size // 2]
    place(keepframe, "1600000000000-000000.mp4", torn)
    (row,) = keepframe.wait_for("it is sealed", lambda: [
        row for row in keepframe.sealed("one") if row.run == 1600000000000])
    path = keepframe.segment_file(row)
    assert media.decode_complaints(path) == ""
    saved = media.frame_hashes(path)
    reference = keepframe.folder / "torn.mp4"
    reference.write_bytes(data)
    assert saved == media.frame_hashes(reference)[:len(saved)]
    before = data[:last.offset]
    reference.write_bytes(before[:before.rindex(b"moof") - 4])
    assert len(saved) > len(media.frame_hashes(reference))


def test_names_that_are_no_segments_are_left_alone(recorded):
    keepframe = recorded
    others = [place(keepframe, name, b"x" * 100) for name in
              ("notes.txt", "12-3.mp4", "1600000000000-000000.mp4.bak", ".hidden.mp4")]
    keepframe.wait_sealed("one", 2, after=keepframe.sealed("one")[-1])
    assert all(path.read_bytes() == b"x" * 100 for path in others)


def test_a_full_volume_name_gets_a_suffix_and_nothing_is_overwritten(recorded):
    """Two segments with the same start in the same second of the same stream, by their names."""
    keepframe = recorded
    data = whole_segment(keepframe)
    keepframe.stop()
    for run in (1600000000000, 1600000000001):
        path = place(keepframe, f"{run}-000000.mp4", data)
        os.utime(path, (1_600_000_010, 1_600_000_010))
    keepframe.start().wait_ready()
    keepframe.wait_for("both are sealed", lambda: {1600000000000, 1600000000001} <= {
        row.run for row in keepframe.sealed("one")})
    rows = [row for row in keepframe.sealed("one") if row.run < 1700000000000]
    assert len({keepframe.segment_file(row) for row in rows}) == 2
    assert len({row.start_us for row in rows}) == 2
    shutil.rmtree(keepframe.cache, ignore_errors=True)
