"""`keepframe probe` and its control command: what it finds at real cameras, and what it says where
none answers as it should."""

import json
import os
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from camera import Mount
from test_secrets import Watch, assert_clean, forms_of, random_password

PASSWORD = "ro%sa@n'e7Yq\"0xZ"
MOUNTS = {
    "avc": Mount("avc", bframes=2, audio=True, length=60),
    "hevc": Mount("hevc", codec="h265", gop=75, width=480, height=270, length=60),
    "alaw": Mount("alaw", audio="alaw", length=60),
    "mute": Mount("mute", audio=True, mute=True, length=60),
    "udp": Mount("udp", transport="udp", length=60),
    "lost": Mount("lost", transport="both", udp_lost=True, length=60),
}

DESCRIBED = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: %d\r\n\r\n%s"
SOUND_ONLY = b"v=0\r\nm=audio 0 RTP/AVP 8\r\na=control:track1\r\n"


class Server(threading.Thread):
    """A server on a port of the kernel's choice that reads a request and then does something
    else than a camera would."""

    def __init__(self, answer=None):
        super().__init__(daemon=True)
        self.answer = answer  # None: says nothing and holds the connection
        self.held = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self.listener.getsockname()[1]}/x"
        self.start()

    def run(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            if self.answer is None:
                self.held.append(connection)
                continue
            connection.recv(65536)
            connection.sendall(self.answer)
            connection.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        for connection in (self.listener, *self.held):
            connection.close()


@pytest.fixture
def server():
    servers = []

    def make(answer=None):
        servers.append(Server(answer))
        return servers[-1]
    yield make
    for one in servers:
        one.close()


@pytest.fixture
def password_file(lab):
    path = lab.folder / "password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


def probe(lab, *words, stdin="", prefix=()):
    """`keepframe probe WORDS...`, run to its end: (exit code, stdout, stderr, seconds)."""
    start = time.monotonic()
    done = subprocess.run(
        [*prefix, lab.build.program("keepframe"), "probe", *map(str, words)], input=stdin,
        capture_output=True, text=True, cwd=lab.folder, env=lab.env(), timeout=60)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - start


def at_once(functions):
    """The results of the functions, run side by side, by name."""
    with ThreadPoolExecutor(len(functions)) as pool:
        futures = {name: pool.submit(function) for name, function in functions.items()}
        return {name: future.result() for name, future in futures.items()}


def test_what_a_camera_is_found_to_be(lab, password_file):
    camera = lab.camera(*MOUNTS.values(), user="nvr", password=PASSWORD)
    keepframe = lab.keepframe().configure({"lost": {
        "url": camera.url("lost"), "username": "nvr", "password_file": str(password_file)}},
        recording={"transport": "udp"})
    cases = {name: lambda name=name: probe(
        lab, camera.url(name), "--username", "nvr", "--password-file", password_file, "--json")
        for name in MOUNTS}
    cases["lost"] = lambda: probe(lab, "lost", "--json", "-c", keepframe.config, "--data",
                                  keepframe.data)
    done = at_once(cases)
    found = {}
    for name, (code, out, err, _) in done.items():
        assert code == 0, (name, out, err)
        found[name] = json.loads(out)
        assert found[name]["ok"] and found[name]["error"] is None
        assert found[name]["login"] == "Digest"
        assert found[name]["server"] == "GStreamer RTSP server"
        assert found[name]["video"]["fps"] == pytest.approx(25, rel=0.02)
        assert found[name]["video"]["declared_fps"] == 25
        assert_clean(out + err, forms_of(PASSWORD), "the answer")

    video = {name: one["video"] for name, one in found.items()}
    assert (video["avc"]["codec"], video["avc"]["profile"]) == ("h264", "High")
    assert (video["avc"]["width"], video["avc"]["height"]) == (320, 180)
    assert video["avc"]["reordered"] and not video["alaw"]["reordered"]
    assert video["avc"]["key_frame_frames"] == 25
    assert video["avc"]["key_frame_seconds"] == pytest.approx(1, rel=0.02)
    assert 100e3 < video["avc"]["bits_per_second"] < 1500e3
    assert (video["hevc"]["codec"], video["hevc"]["profile"]) == ("hevc", "Main")
    assert (video["hevc"]["width"], video["hevc"]["height"]) == (480, 270)
    assert video["hevc"]["key_frame_frames"] == 75

    audio = {name: one["audio"] for name, one in found.items()}
    assert audio["avc"]["codec"] == "aac" and audio["avc"]["sample_rate"] == 48000
    assert audio["avc"]["fits_mp4"] and audio["avc"]["recorded_as"] == "copy"
    assert audio["alaw"]["codec"] == "pcm_alaw" and audio["alaw"]["sample_rate"] == 8000
    assert not audio["alaw"]["fits_mp4"] and audio["alaw"]["recorded_as"] == "aac"
    assert audio["hevc"] is None
    assert any("none came" in text for text in found["mute"]["warnings"])

    # The camera's clock is this machine's.
    assert abs(found["avc"]["clock_skew_seconds"]) < 2
    assert found["avc"]["transport"] == "tcp"
    assert found["udp"]["transport"] == "udp"
    assert any("udp does" in text for text in found["udp"]["warnings"])
    # UDP is agreed upon and nothing comes.
    assert found["lost"]["transport_wanted"] == "udp" and found["lost"]["transport"] == "tcp"
    assert any("tcp does" in text for text in found["lost"]["warnings"])
    assert "transport: tcp\n" in found["lost"]["stanza"]
    stanza = found["avc"]["stanza"]
    assert f"url: {camera.url('avc')}\n" in stanza and "username: nvr\n" in stanza
    assert f"password_file: {password_file}\n" in stanza


def test_what_is_said_where_nothing_can_be_recorded(lab, password_file, server):
    camera = lab.camera(MOUNTS["avc"], user="nvr", password=PASSWORD)
    gone = lab.camera(MOUNTS["avc"])
    gone.kill()
    wrong_file = lab.folder / "wrong"
    wrong_file.write_text("not it\n")
    login = ("--username", "nvr", "--password-file")
    cases = {  # arguments, code, what must be said
        "wrong password": ((camera.url("avc"), *login, wrong_file), "unauthorized", "(Digest)"),
        "no password": ((camera.url("avc"),), "unauthorized", "none is given"),
        "wrong path": ((camera.url("nowhere"), *login, password_file), "not_found", "/nowhere"),
        "closed port": ((gone.url("avc"),), "refused", "refuses the connection"),
        "no such name": (("rtsp://camera.invalid/x",), "unresolved", "no address for camera.invalid"),
        "silent": ((server().url,), "timeout", "does not answer"),
        "closing": ((server(b"").url,), "closed", "too many viewers"),
        "rubbish": ((server(bytes(range(1, 256)) * 40).url,), "not_rtsp", "check the port"),
        "web server": ((server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").url,),
                       "not_rtsp", "check the port"),
        "no video": ((server(DESCRIBED % (len(SOUND_ONLY), SOUND_ONLY)).url,),
                     "no_video", "no video"),
        "cut": ((server(DESCRIBED % (len(SOUND_ONLY) + 9, SOUND_ONLY)).url,),
                "not_rtsp", "check the port"),
        "endless": ((server(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n" + b"X-A: 1234567890\r\n" * 9000).url,),
                    "not_rtsp", "check the port"),
        "too large": ((server(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 9999999\r\n\r\n"
                              + b"v=0\r\n" * 60000).url,), "not_rtsp", "check the port"),
        "moved": ((server(b"RTSP/1.0 302 Found\r\nCSeq: 1\r\n"
                          b"Location: rtsp://u:p@192.0.2.1/y\r\n\r\n").url,),
                  "moved", "rtsp://***@192.0.2.1/y"),
    }
    done = at_once({name: lambda case=case: probe(lab, *case[0], "--json")
                    for name, case in cases.items()})
    for name, (_, fault, words) in cases.items():
        code, out, err, seconds = done[name]
        assert code == 1, (name, out, err)
        answer = json.loads(out)
        assert not answer["ok"] and answer["error"]["code"] == fault, (name, answer)
        assert words in answer["error"]["message"], (name, answer)
        assert answer["video"] is None and answer["stanza"] is None
        assert seconds < 10, (name, seconds)
        assert_clean(out + err, forms_of(PASSWORD), name)
    # For people, the same.
    code, out, err, _ = probe(lab, gone.url("avc"))
    assert code == 1 and "FAILED (refused)" in out and "refuses the connection" in out, (out, err)


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own needs root")
def test_no_way_to_the_camera(lab):
    done = probe(lab, "rtsp://192.0.2.1/x", "--json", prefix=("unshare", "--net"))
    assert done[0] == 1 and json.loads(done[1])["error"]["code"] == "unreachable", done


def test_no_secret_is_taken_from_an_argument(lab):
    for url in ("rtsp://nvr:s3cr3t@127.0.0.1:1/x", "rtsp://nvr@127.0.0.1:1/x",
                "rtsp://a:b:s3cr3t@127.0.0.1:1/x"):
        code, out, err, _ = probe(lab, url)
        assert code == 64 and "--password-file" in err and "probe -" in err, err
        assert "s3cr3t" not in out + err
    code, _, err, _ = probe(lab, "http://127.0.0.1/")
    assert code == 64 and "rtsp://" in err
    code, _, err, _ = probe(lab, "-", stdin="\n")
    assert code == 64, err
    assert probe(lab)[0] == 64


def test_secrets_stay_where_they_are(lab, chance, server):
    """Read from stdin, from a configuration, and by a daemon: never in ps, never in an answer."""
    password, token = random_password(chance), "tok/en%4" + random_password(chance)
    forms = forms_of(password) + forms_of(token)
    camera = lab.camera(MOUNTS["avc"], user="nvr", password=password)
    silent = server()
    host = camera.url("avc").removeprefix("rtsp://")
    keepframe = lab.keepframe()
    secret_file = lab.folder / "secret"
    secret_file.write_text(password)
    secret_file.chmod(0o600)
    access = {"username": "nvr", "password_file": str(secret_file)}
    keepframe.configure({
        "one": {"url": camera.url("avc"), **access, "enabled": False},
        "silent": {"url": f"{silent.url}?token={quote(token, safe='')}&ch=1", **access,
                   "enabled": False}})
    watch = Watch(keepframe, forms)
    answers = at_once({
        "stdin": lambda: probe(lab, "-", "--json",
                               stdin=f"rtsp://nvr:{quote(password, safe='')}@{host}\n"),
        "alone": lambda: probe(lab, "one", "-c", keepframe.config, "--data", keepframe.data),
        "token": lambda: probe(lab, "silent/main", "-c", keepframe.config, "--data",
                               keepframe.data, "--json")})
    keepframe.start().wait_ready()
    answers["daemon"] = probe(lab, "one", "-c", keepframe.config, "--data", keepframe.data)
    answers["absent"] = probe(lab, "two", "-c", keepframe.config, "--data", keepframe.data)
    watch.end()
    assert {name: done[0] for name, done in answers.items()} == {
        "stdin": 0, "alone": 0, "token": 1, "daemon": 0, "absent": 1}, answers
    assert watch.found == set() and watch.looks > 50
    for name, (_, out, err, _) in answers.items():
        assert_clean(out + err, forms, name)
    assert "?token=***&ch=***" in answers["token"][1]
    # The last of its users by the configured name, ready to paste.
    assert answers["daemon"][1].rstrip().endswith(
        "cameras:\n  one:\n" f"    url: {camera.url('avc')}\n" "    username: nvr\n"
        "    password_file: /etc/keepframe/one.secret")
    assert "two/main" in answers["absent"][2]
    assert_clean(keepframe.log_text(), forms, "the log")


def test_the_daemon_looks_at_four_at_once_and_goes_on(lab, server):
    silent = server()
    keepframe = lab.keepframe().configure({}).start().wait_ready()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        keepframe.ask("probe", url=silent.url))) for _ in range(6)]
    for thread in threads:
        thread.start()
    # Two are turned away at once; whoever asks for the status meanwhile is answered.
    keepframe.wait_for("two are turned away", lambda: len(answers) >= 2)
    assert keepframe.ask("status")["ok"]
    assert [one["error"]["code"] for one in answers[:2]] == ["busy", "busy"]
    for thread in threads:
        thread.join()
    results = [one["result"] for one in answers if one["ok"]]
    assert [one["error"]["code"] for one in results] == ["timeout"] * 4
    assert keepframe.ask("probe", url=silent.url)["ok"]

    for arguments, field in (({}, "camera"), ({"camera": "x", "url": "rtsp://h/"}, "url"),
                             ({"camera": "x"}, "camera"), ({"url": "file:///etc/passwd"}, "url"),
                             ({"url": "rtsp://h/", "password": "p"}, "username")):
        answer = keepframe.ask("probe", **arguments)
        assert not answer["ok"] and answer["error"]["field"] == field, answer


def test_a_stop_does_not_wait_for_a_probe(lab, server):
    silent = server()
    keepframe = lab.keepframe().configure({}).start().wait_ready()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(
        keepframe.ask("probe", url=silent.url)))
    thread.start()
    keepframe.wait_for("the camera is asked", lambda: silent.held)
    keepframe.stop()
    thread.join()
    assert answers[0]["result"]["error"]["code"] == "stopped"


def post(keepframe, body, **headers):
    """One POST; a header of None is left out."""
    headers = {"Content_Type": "application/json", **headers}
    text = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return keepframe.http("POST", "/api/v1/probe", body=text, headers={
        name.replace("_", "-"): value for name, value in headers.items() if value is not None})


def test_over_http(lab, server):
    """The web interface knows no password: it has the supervisor look, and goes on meanwhile."""
    camera = lab.camera(MOUNTS["avc"], MOUNTS["hevc"], user="nvr", password=PASSWORD)
    silent = server()
    keepframe = lab.keepframe().configure({"door": {
        "url": camera.url("avc"), "username": "nvr", "password_file": str(camera.password_file),
        "enabled": False}}).start().wait_ready()
    login = {"username": "nvr", "password": PASSWORD}
    address = (keepframe.runtime / "webui.address").read_text().strip()
    asked = at_once({
        "configured": lambda: post(keepframe, {"camera": "door"}, Origin=f"http://{address}"),
        "url": lambda: post(keepframe, {"url": camera.url("hevc"), **login}),
        "wrong": lambda: post(keepframe, {"url": camera.url("avc"), **login, "password": "x"}),
        "silent": lambda: post(keepframe, {"url": silent.url, "username": None}),
        # Meanwhile others are served.
        "health": lambda: keepframe.wait_for(
            "a camera is asked and all is well",
            lambda: silent.held and keepframe.get("/healthz").status == 200)})
    for name in ("configured", "url", "wrong", "silent"):
        assert_clean(asked[name].body, forms_of(PASSWORD), name)
        asked[name] = asked[name].expect(200).json
    assert asked["configured"]["ok"] and asked["configured"]["camera"] == "door"
    assert asked["configured"]["video"]["codec"] == "h264"
    assert asked["url"]["ok"] and asked["url"]["video"]["codec"] == "hevc"
    assert asked["wrong"]["error"]["code"] == "unauthorized"
    assert asked["silent"]["error"]["code"] == "timeout"
    assert_clean(keepframe.log_text(), forms_of(PASSWORD), "the log")


def test_over_http_what_is_refused(lab, server):
    silent = server()
    keepframe = lab.keepframe().configure({}).start().wait_ready()
    good = {"url": silent.url}
    for answer, status, code in (
            (keepframe.get("/api/v1/probe"), 405, "method_not_allowed"),
            (post(keepframe, good, Content_Type="text/plain"), 415, "bad_content_type"),
            (post(keepframe, good, Content_Type=None), 415, "bad_content_type"),
            (post(keepframe, good, Origin="http://evil.example"), 403, "foreign_origin"),
            (post(keepframe, good, Sec_Fetch_Site="cross-site"), 403, "foreign_origin"),
            (post(keepframe, b"x" * 20000), 413, "too_large"),
            (post(keepframe, b"{"), 400, "bad_body"),
            (post(keepframe, b""), 400, "bad_body"),
            (post(keepframe, {**good, "password_file": "/etc/passwd"}), 400, "unknown_parameter"),
            (post(keepframe, {"camera": 7}), 400, "bad_parameter"),
            (post(keepframe, {}), 400, "bad_request"),
            (post(keepframe, {"url": "file:///etc/passwd"}), 400, "bad_request"),
            (post(keepframe, {"camera": "none"}), 404, "not_found")):
        assert answer.expect(status).json["error"]["code"] == code
    assert keepframe.get("/api/v1/probe").headers["Allow"] == "POST"
    assert not silent.held, "a request that was refused has been done"

    # Four at once; the web interface ends at once, with them under way.
    answers = []

    def ask():
        try:
            answers.append(post(keepframe, good))
        except OSError:
            pass  # ended with the web interface
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    keepframe.wait_for("two are turned away", lambda: len(answers) >= 2)
    assert [(one.status, one.json["error"]["code"]) for one in answers[:2]] == [(503, "busy")] * 2
    assert answers[0].headers["Retry-After"]
    keepframe.wait_for("four are asked", lambda: len(silent.held) == 4)
    keepframe.stop()
    for thread in threads:
        thread.join()
