"""Many, slow, rude and vanishing clients; and files that move while they are read."""

import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import media
from camera import Mount
from procs import open_files
from times import format_utc


class Slow:
    """A download that is begun and read later."""

    def __init__(self, keepframe, where):
        host, port = (keepframe.runtime / "webui.address").read_text().strip().split(":")
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(60)
        self.socket.connect((host, int(port)))
        self.socket.sendall(f"GET {where} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                            .encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self.data += self.socket.recv(64)
        assert self.data.startswith(b"HTTP/1.1 200"), self.data

    def read_rest(self):
        """The body, up to the end of the connection; and how long it was to be."""
        while piece := self.socket.recv(65536):
            self.data += piece
        self.socket.close()
        head, _, body = self.data.partition(b"\r\n\r\n")
        (length,) = [int(line.split(b":")[1]) for line in head.split(b"\r\n")
                     if line.lower().startswith(b"content-length:")]
        return body, length

    def close(self):
        self.socket.close()


def everything(recording, name):
    rows = recording.keepframe.sealed(name)
    return {"start": format_utc(rows[0].start_us), "end": format_utc(rows[-1].end_us)}


def where(name, params):
    return f"/video/{name}/main.mp4?" + "&".join(f"{key}={value}" for key, value in params.items())


def test_many_clients_get_the_same_bytes_at_the_same_time(recording):
    names = ["avc", "bframes", "hevc", "silent"]
    params = {name: everything(recording, name) for name in names}
    whole = {name: recording.keepframe.download(name, **params[name]).body for name in names}
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda number: recording.keepframe.download(
            names[number % 4], **params[names[number % 4]]), range(64)))
    assert [answer.body == whole[names[number % 4]]
            for number, answer in enumerate(answers)] == [True] * 64


def test_slow_readers_do_not_hold_up_others_and_get_every_byte(recording):
    params = everything(recording, "avc")
    whole = recording.keepframe.download("avc", **params).body
    slow = [Slow(recording.keepframe, where("avc", params)) for _ in range(20)]
    assert recording.keepframe.get("/healthz").status == 200
    assert recording.keepframe.download("avc", **params).body == whole
    for one in slow:
        assert one.read_rest() == (whole, len(whole))


def test_clients_that_vanish_leave_nothing_open(recording):
    keepframe = recording.keepframe
    params = everything(recording, "avc")
    pid = keepframe.wait_program("keepframe-webui")
    keepframe.download("avc", **params)

    def held():
        return [name for name in open_files(pid) if name.startswith("socket:")
                or name.endswith(".mp4")]

    keepframe.wait_for("finished clients are forgotten", lambda: len(held()) <= 10)
    before = len(held())
    for _ in range(30):
        Slow(keepframe, where("avc", params)).close()
    assert keepframe.get("/healthz").status == 200
    keepframe.wait_for("their sockets and files are closed", lambda: len(held()) <= before)


CLOSE = b"HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
RUDE = [
    b"\r\n\r\n\r\n",
    b"GET\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" " + CLOSE + b"\r\n",
    b"GET /video/../../../../etc/passwd " + CLOSE + b"\r\n",
    b"GET /static/../../../../etc/passwd " + CLOSE + b"\r\n",
    b"GET /static/%2e%2e/%2e%2e/%2e%2e/etc/passwd " + CLOSE + b"\r\n",
    b"GET /video/%00/main.mp4 " + CLOSE + b"\r\n",
    b"GET /video/a%2fb/main.mp4?start=%zz " + CLOSE + b"\r\n",
    b"POST / " + CLOSE + b"Content-Length: 99999999999\r\n\r\n" + b"z" * 70_000,
    b"POST / " + CLOSE + b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
    b"DELETE /api/v1/cameras/avc " + CLOSE + b"\r\n",
    b"GET /video/avc/main.mp4?start=1&end=2 " + CLOSE + b"Range: bytes="
    + b",".join(b"%d-%d" % (n, n) for n in range(900)) + b"\r\n\r\n",
]


def test_rude_clients_are_answered_or_cut_off_and_harm_nobody(recording):
    keepframe = recording.keepframe
    pid = keepframe.wait_program("keepframe-webui")
    host, port = (keepframe.runtime / "webui.address").read_text().strip().split(":")

    def say(text):
        """What is answered until the other side closes, which it must."""
        answer = b""
        with socket.create_connection((host, int(port)), timeout=60) as peer:
            try:
                peer.sendall(text)
                while piece := peer.recv(65536):
                    answer += piece
            except ConnectionError:
                pass
        return answer

    with ThreadPoolExecutor(len(RUDE)) as pool:
        answers = pool.map(say, RUDE)
        assert keepframe.get("/healthz").status == 200
        for text, answer in zip(RUDE, answers):
            assert b"root:" not in answer, text[:80]
            assert not answer.startswith(b"HTTP/1.1 2"), text[:80]
    assert keepframe.get("/healthz").status == 200
    assert keepframe.program_pid("keepframe-webui") == pid


def test_a_flood_of_connections_is_survived(recording):
    """More than it can hold, saying nothing; then they go and all is as before."""
    keepframe = recording.keepframe
    pid = keepframe.wait_program("keepframe-webui")
    host, port = (keepframe.runtime / "webui.address").read_text().strip().split(":")
    idle = []
    try:
        for _ in range(1500):
            peer = socket.socket()
            peer.settimeout(2)
            idle.append(peer)
            try:
                peer.connect((host, int(port)))
            except OSError:
                break
    finally:
        for peer in idle:
            peer.close()
    keepframe.wait_for("it answers again", lambda: keepframe.get("/healthz").status == 200)
    assert keepframe.program_pid("keepframe-webui") == pid


@pytest.fixture
def busy(lab):
    """A Keepframe that records one camera of some weight in segments of 2 s."""
    mount = Mount("one", width=640, height=360, gop=5, bitrate=4000, length=60)
    camera = lab.camera(mount)
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one"), "retain": {"continuous": "1d"}}},
                        recording={"segment": "2s"})
    keepframe.start().wait_ready()
    keepframe.wait_sealed("one", 1)
    return keepframe, camera, mount


def assert_as_sent(build, mount, body):
    movie = media.Movie(body)
    got = [media.picture_hash(movie.bytes_of(sample), "h264")
           for sample in movie.track("video").samples]
    sent = mount.sent_pictures(build)
    begin = sent.index(got[0])
    assert got == (sent * 2)[begin:begin + len(got)]


def test_a_download_survives_that_its_open_segment_is_sealed_and_moved(busy, build):
    keepframe, _, mount = busy
    row = keepframe.wait_open("one", longer_than_us=1_000_000)
    first = keepframe.sealed("one")[0]
    slow = Slow(keepframe, where("one", {"start": format_utc(first.start_us), "duration": "60s"}))
    keepframe.wait_for("it is sealed and out of the cache", lambda: any(
        other.id == row.id and other.state == "sealed" for other in keepframe.segments("one"))
        and not any(f"{row.run}-{row.number:06}" in path.name
                    for path in keepframe.cache_files("one")))
    body, length = slow.read_rest()
    assert len(body) == length
    assert_as_sent(build, mount, body)


def test_a_download_is_whole_or_visibly_cut_when_its_footage_is_deleted(busy, build):
    keepframe, camera, mount = busy
    rows = keepframe.wait_sealed("one", 3)
    params = {"start": format_utc(rows[0].start_us), "end": format_utc(rows[2].end_us)}
    whole = keepframe.download("one", **params).body
    slow = Slow(keepframe, where("one", params))
    files = [keepframe.segment_file(row) for row in rows[:3]]
    keepframe.configure({"one": {"url": camera.url("one"), "retain": {"continuous": "1s"}}},
                        recording={"segment": "2s"})
    keepframe.send(signal.SIGHUP)
    keepframe.wait_for("its files are deleted", lambda: not any(map(os.path.exists, files)))
    body, length = slow.read_rest()
    assert length == len(whole)
    assert body == whole[:len(body)], "other bytes than its own"
    answer = keepframe.download("one", **params)
    assert answer.status == 404 or answer.headers["X-Keepframe-Start"] > params["end"]


def test_polling_clients_see_no_segment_vanish_or_double_while_it_is_sealed(busy):
    """A segment is open, closed or sealed; at no moment it is none or two of them."""
    keepframe, _, _ = busy
    start = keepframe.sealed("one")[0]
    trouble, seen, end = [], set(), threading.Event()

    def poll():
        last = {}
        while not end.is_set():
            rows = keepframe.segments("one")
            ids = [row.id for row in rows]
            if len(ids) != len(set(ids)):
                trouble.append(f"doubled: {ids}")
            if missing := set(last) - set(ids):
                trouble.append(f"vanished: {missing} of {last}")
            order = {"open": 0, "closed": 1, "sealed": 2}
            for row in rows:
                if row.id in last and order[row.state] < order[last[row.id]]:
                    trouble.append(f"{row.id}: {last[row.id]}, then {row.state}")
            last = {row.id: row.state for row in rows}
            seen.update(row.state for row in rows)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        keepframe.wait_sealed("one", 3, after=start)
    finally:
        end.set()
        thread.join()
    assert not trouble, trouble[:5]
    assert seen >= {"open", "sealed"}
