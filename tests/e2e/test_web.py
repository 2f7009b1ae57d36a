"""The web interface towards clients that behave badly, and files that are not what they were."""

import http.client
import os
import re
import signal
import socket

import pytest

import media
from camera import Mount
from times import format_utc

ONE = Mount("one", bframes=2, audio=True)


@pytest.fixture(scope="module")
def span(recording):
    rows = recording.keepframe.sealed("avc")
    return {"start": format_utc(rows[0].start_us), "end": format_utc(rows[3].end_us)}


def address_of(keepframe):
    host, port = (keepframe.runtime / "webui.address").read_text().strip().rsplit(":", 1)
    return host, int(port)


def exchange(keepframe, request):
    """Whatever comes back until the server ends the connection."""
    with socket.create_connection(address_of(keepframe), timeout=60) as peer:
        peer.sendall(request)
        answer = b""
        while data := peer.recv(65536):
            answer += data
    return answer


def test_a_header_that_never_ends_is_cut_off(recording):
    # A byte now and then keeps an idle timeout away; the header has a deadline of its own.
    with socket.create_connection(address_of(recording.keepframe), timeout=1) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        for _ in range(60):
            try:
                if peer.recv(4096) == b"":
                    return
            except TimeoutError:
                pass
            except ConnectionError:
                return
            try:
                peer.sendall(b"X")
            except ConnectionError:
                return
    raise AssertionError("it was kept for a minute")


def test_a_header_beyond_all_bounds_is_refused(recording):
    for request in (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"):
        try:
            answer = exchange(recording.keepframe, request)
        except ConnectionError:
            continue
        assert re.match(rb"HTTP/1\.1 4\d\d ", answer) or answer == b"", answer[:200]
    assert recording.keepframe.get("/healthz").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_told_which_ones_there_are(recording, method):
    body = b"hello" if method in ("POST", "PUT", "PATCH") else None
    answer = recording.keepframe.http(method, "/api/v1/cameras", body=body).expect(405)
    assert answer.headers["Allow"] == "GET, HEAD"
    assert answer.json["error"]["code"] == "method_not_allowed"


def test_a_body_is_not_taken(recording):
    answer = recording.keepframe.http("GET", "/api/v1/cameras", body=b"x" * 100).expect(400)
    assert answer.json["error"]["code"] == "unexpected_body"


@pytest.mark.parametrize("path", ["/video/avc/../main.mp4", "/static/../etc/passwd", "/%2e%2e/%2e%2e/x",
                                  "/video/avc/main.mp4%00", "/api/v1/cameras/%0d%0aX-Evil:%201",
                                  "/%", "/%zz", "//", "/static/", "/index.html"])
def test_addresses_that_lead_nowhere(recording, path):
    answer = recording.keepframe.http("GET", path)
    assert answer.status in (400, 404)
    assert answer.json["error"]["message"]
    assert "X-Evil" not in answer.headers


def test_no_answer_is_split(recording):
    evil = "%0d%0aSet-Cookie:%20a=b"
    for path in (f"/video/avc/main.mp4?start=1{evil}", f"/video/avc/main.mp4?{evil}=1",
                 f"/api/v1/cameras/avc/main/segments?cursor={evil}"):
        answer = recording.keepframe.http("GET", path).expect(400)
        assert "Set-Cookie" not in answer.headers


def test_every_answer_carries_the_safety_headers(recording, span):
    for path in ("/", "/static/app.js", "/healthz", "/api/v1/cameras", "/nowhere", "/video/avc/main.mp4",
                 "/video/avc/main.mp4?start={start}&end={end}".format(**span)):
        answer = recording.keepframe.http("HEAD", path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert answer.headers["Referrer-Policy"] == "no-referrer", path
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path


def test_many_requests_on_one_connection(recording, span):
    host, port = address_of(recording.keepframe)
    connection = http.client.HTTPConnection(host, port, timeout=60)
    whole = recording.keepframe.download("avc", **span).expect(200).body
    for number in range(50):
        first = number * 1000
        connection.request("GET", "/video/avc/main.mp4?start={start}&end={end}".format(**span),
                           headers={"Range": f"bytes={first}-{first + 99}"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (206, whole[first:first + 100])
    connection.close()


def test_a_player_reads_on_in_the_file_that_it_has(recording):
    """A range that reached the open segment, asked for again by its entity tag when that segment has
    left the cache: the same bytes, though a new request would get others."""
    keepframe = recording.keepframe
    row = keepframe.wait_open("live", longer_than_us=1_000_000)
    ask = {"start": format_utc(row.start_us), "duration": "60s"}
    first = keepframe.download("live", **ask).expect(200)
    keepframe.wait_for("the segment is sealed", lambda: any(
        other.id == row.id and other.state == "sealed" for other in keepframe.segments("live")))
    keepframe.wait_for("its name in the cache is gone", lambda: not any(
        path.stem == row.id.rsplit("/", 1)[1] for path in keepframe.cache_files("live")))
    # An answer may be a second old.
    keepframe.wait_for("a new request gets others", lambda: keepframe.download(
        "live", method="HEAD", **ask).headers["ETag"] != first.headers["ETag"])
    middle = len(first.body) // 3
    for begin in (0, middle):
        again = keepframe.download("live", **ask, headers={
            "Range": f"bytes={begin}-", "If-Range": first.headers["ETag"]}).expect(206)
        assert again.body == first.body[begin:]


def test_slow_readers_cost_nobody_else(recording, span):
    """Clients that ask for a file and do not read it: others are answered as ever."""
    target = "/video/avc/main.mp4?start={start}&end={end}".format(**span)
    peers = []
    try:
        for _ in range(100):
            peer = socket.create_connection(address_of(recording.keepframe), timeout=60)
            peer.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            peers.append(peer)
        for peer in peers:
            assert peer.recv(12) == b"HTTP/1.1 200"
        whole = recording.keepframe.download("avc", **span).expect(200)
        assert len(whole.body) == int(whole.headers["Content-Length"])
    finally:
        for peer in peers:
            peer.close()


@pytest.fixture
def filed(lab):
    camera = lab.camera(ONE)
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}}, recording={"segment": "2s"})
    keepframe.start().wait_ready()
    return keepframe, keepframe.wait_sealed("one", 4)


@pytest.mark.parametrize("harm", ["shortened", "removed"])
def test_a_file_that_is_damaged_ends_the_answer_early(filed, harm):
    keepframe, rows = filed
    target = {"start": format_utc(rows[0].start_us), "end": format_utc(rows[3].end_us)}
    whole = keepframe.download("one", **target).expect(200).body
    path = keepframe.segment_file(rows[2])
    if harm == "removed":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2)
    host, port = address_of(keepframe)
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request("GET", "/video/one/main.mp4?start={start}&end={end}".format(**target))
    answer = connection.getresponse()
    assert answer.status == 200 and int(answer.headers["Content-Length"]) == len(whole)
    with pytest.raises(http.client.IncompleteRead) as caught:
        answer.read()
    assert whole.startswith(caught.value.partial)
    assert len(caught.value.partial) >= media.Movie(whole).track("video").samples[0].offset
    keepframe.wait_log("webui", "ends early", rows[2].id)
    assert len(keepframe.log_lines("ends early")) == 1
    assert cut_short(keepframe) == 1
    assert keepframe.get("/healthz").status == 200


def cut_short(keepframe):
    (line,) = [line for line in keepframe.get("/metrics").body.decode().splitlines()
               if line.startswith("keepframe_http_responses_cut_short_total")]
    return float(line.split()[-1])


@pytest.mark.parametrize("way", ["in place", "replaced"])
def test_a_file_that_was_altered_gives_no_other_bytes(filed, way):
    """Of the same size, but written to, or another one: under the entity tag that the client has."""
    keepframe, rows = filed
    target = {"start": format_utc(rows[0].start_us), "end": format_utc(rows[3].end_us)}
    whole = keepframe.download("one", **target).expect(200)
    path = keepframe.segment_file(rows[2])
    data = bytearray(path.read_bytes())
    data[len(data) // 2:len(data) // 2 + 1000] = bytes(1000)
    if way == "replaced":
        path.unlink()
    path.write_bytes(data)
    for headers in ({"Range": "bytes=0-", "If-Range": whole.headers["ETag"]}, {}):
        with pytest.raises(http.client.IncompleteRead) as caught:
            keepframe.download("one", headers=headers, **target)
        assert whole.body.startswith(caught.value.partial)
    keepframe.wait_log("webui", "ends early", rows[2].id, "altered")
    assert cut_short(keepframe) == 2
    # What lies before and behind it is given as ever.
    part = keepframe.download("one", headers={"Range": "bytes=-1000"}, **target).expect(206)
    assert part.body == whole.body[-1000:]


def test_gaps_are_skipped_or_told(filed):
    keepframe, rows = filed
    before = keepframe.wait_recorder("one")
    os.kill(before, signal.SIGKILL)
    keepframe.wait_recorder("one", other_than=before)
    after = keepframe.wait_sealed("one", 1, after=keepframe.segments("one")[-1])[-1]
    ask = {"start": format_utc(rows[0].start_us), "end": format_utc(after.end_us)}
    answer = keepframe.download("one", **ask, gaps="fail").expect(409)
    error = answer.json["error"]
    assert error["code"] == "gaps" and len(error["ranges"]) >= 1
    listed = [row for row in keepframe.segments("one") if row.start_us < after.end_us]
    footage_us = sum(row.end_us - row.start_us for row in listed)
    skipped = keepframe.download("one", **ask, gaps="skip").expect(200)
    video = media.Movie(skipped.body).track("video")
    assert video.length_s() == pytest.approx(footage_us / 1e6, abs=0.2)
    assert video.length_s() < (after.end_us - rows[0].start_us) / 1e6 - 0.2
    path = keepframe.folder / "skipped.mp4"
    path.write_bytes(skipped.body)
    assert media.decode_complaints(path) == ""


def test_a_new_address_is_taken_at_a_reload(filed):
    keepframe, _ = filed
    text = keepframe.config.read_text()
    assert "127.0.0.1:0" in text
    old = address_of(keepframe)
    keepframe.config.write_text(text.replace("127.0.0.1:0", "127.0.0.2:0"))
    keepframe.send(signal.SIGHUP)
    keepframe.wait_for("it listens elsewhere", lambda: address_of(keepframe)[0] == "127.0.0.2")
    keepframe.wait_ready()
    with pytest.raises(ConnectionError):
        socket.create_connection(old, timeout=10).close()
