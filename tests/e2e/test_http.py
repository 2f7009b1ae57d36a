"""HTTP as RFC 9110 has it: conditions, ranges, what may be kept, and pages of other origins."""

import email.utils
import http.client
import json
import signal
import socket
import time

import pytest

from archive import fill
from lab import Lab
from times import format_utc
from waiting import wait_for

WALL = "https://wall.example"
CAMERAS = {"yard": {"url": "rtsp://127.0.0.1:9/none", "enabled": False}}


@pytest.fixture(scope="module")
def served(build):
    """Two runs of footage, and two origins that may ask. The clock of the web interface is two hours
    ahead, so the footage is settled."""
    lab = Lab(build)
    keepframe = lab.keepframe()
    keepframe.configure(CAMERAS, http={
        "listen": "127.0.0.1:0", "cors": [WALL, "http://192.0.2.7:8123"]})
    keepframe.start().wait_ready()
    fill(keepframe, runs=2)
    keepframe.stop()
    keepframe.start(env=lab.preload_env("clockshift.so", CLOCKSHIFT="7200")).wait_ready()
    yield keepframe
    lab.close()


@pytest.fixture(scope="module")
def whole(served):
    return served.download("yard", **span_of(served)).expect(200)


def span_of(keepframe):
    rows = keepframe.sealed("yard")
    return {"start": format_utc(rows[0].start_us), "end": format_utc(rows[-1].end_us)}


def ask(served, method="GET", **headers):
    return served.download("yard", method=method, **span_of(served),
                           headers={name.replace("_", "-"): value for name, value in headers.items()})


# --- Conditions (13) and ranges (14)

def date(whole, form="imf", shift_s=0):
    """Last-Modified, or another moment, in one of the three forms of 5.6.7."""
    moment = email.utils.parsedate_to_datetime(whole.headers["Last-Modified"]).timestamp() + shift_s
    parts = time.gmtime(moment)
    return time.strftime({"imf": "%a, %d %b %Y %H:%M:%S GMT", "rfc850": "%A, %d-%b-%y %H:%M:%S GMT",
                          "asctime": "%a %b %e %H:%M:%S %Y"}[form], parts)


def test_a_client_that_has_it_is_told_so(served, whole):
    etag = whole.headers["ETag"]
    fresh = [{"If_None_Match": etag}, {"If_None_Match": f"W/{etag}"}, {"If_None_Match": "*"},
             {"If_None_Match": f'"other", W/"x,y" , {etag}'},
             *({"If_Modified_Since": date(whole, form)} for form in ("imf", "rfc850", "asctime")),
             {"If_Modified_Since": date(whole, shift_s=3600)},
             # The tag rules where there are both (13.1.3).
             {"If_None_Match": etag, "If_Modified_Since": date(whole, shift_s=-3600)}]
    for headers in fresh:
        for method in ("GET", "HEAD"):
            answer = ask(served, method, **headers).expect(304)
            assert answer.body == b"", headers
            for name in ("ETag", "Cache-Control", "Vary", "Last-Modified"):  # 15.4.5
                assert answer.headers[name] == whole.headers[name], (headers, name)


def test_a_client_that_has_another_one_gets_it(served, whole):
    etag = whole.headers["ETag"]
    for headers in ({"If_None_Match": '"other"'}, {"If_None_Match": etag.strip('"')},
                    {"If_Modified_Since": date(whole, shift_s=-1)},
                    {"If_Modified_Since": "yesterday"},
                    {"If_None_Match": '"other"', "If_Modified_Since": date(whole)}):
        assert ask(served, **headers).expect(200).body == whole.body, headers


def test_what_must_hold_first(served, whole):
    etag = whole.headers["ETag"]
    for headers in ({"If_Match": '"other"'}, {"If_Match": f"W/{etag}"},  # strong comparison: 13.1.1
                    {"If_Unmodified_Since": date(whole, shift_s=-1)}):
        answer = ask(served, **headers).expect(412)
        assert answer.json["error"]["code"] == "precondition_failed"
        assert answer.headers["Cache-Control"] == "no-store"
    for headers in ({"If_Match": etag}, {"If_Match": f'"other", {etag}'}, {"If_Match": "*"},
                    {"If_Unmodified_Since": date(whole)}):
        assert ask(served, **headers).expect(200).body == whole.body


def test_parts(served, whole):
    size = len(whole.body)
    for form, first, last in (("0-0", 0, 0), ("0-", 0, size - 1), ("5-9", 5, 9), ("-1", size - 1, size - 1),
                              (f"-{size + 5}", 0, size - 1), (f"{size - 1}-{size + 99}", size - 1, size - 1),
                              ("7-99999999999999999999999999", 7, size - 1)):
        answer = ask(served, Range=f"bytes={form}").expect(206)
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{size}", form
        assert answer.body == whole.body[first:last + 1], form
    assert ask(served, Range="BYTES=1-2").expect(206).body == whole.body[1:3]  # 14.1: any case


def test_parts_that_are_not_there(served, whole):
    size = len(whole.body)
    for form in (f"{size}-", f"{size}-{size + 5}", "-0", "99999999999999999999999999-"):
        answer = ask(served, Range=f"bytes={form}").expect(416)
        assert answer.headers["Content-Range"] == f"bytes */{size}", form
        assert answer.json["error"]["code"] == "range_not_satisfiable"


def test_several_parts_and_nonsense_get_the_whole(served, whole):
    for form in ("bytes=0-1,5-6", "bytes=5-3", "bytes=", "bytes=a-b", "bytes=1-2x", "bytes 1-2", "words=1-2",
                 "bytes=--1", "bytes=0-,-1," + "0-0," * 1000):
        assert ask(served, Range=form).expect(200).body == whole.body, form[:40]


def test_a_part_only_of_what_the_client_has(served, whole):
    etag, size = whole.headers["ETag"], len(whole.body)
    for condition in (etag, date(whole), date(whole, "rfc850")):
        assert ask(served, Range="bytes=5-9", If_Range=condition).expect(206).body == whole.body[5:10]
    for condition in ('"other"', f"W/{etag}", date(whole, shift_s=1), date(whole, shift_s=-1), "x"):
        assert ask(served, Range="bytes=5-9", If_Range=condition).expect(200).body == whole.body
    # With another one the range does not count, so it can not be out of reach (13.2.2).
    ask(served, Range=f"bytes={size}-", If_Range='"other"').expect(200)


def test_head_says_what_get_does(served):
    span = span_of(served)
    query = "?start={start}&end={end}".format(**span)
    for path in ("/", "/static/app.js", "/api/v1/cameras", f"/video/yard/main.mp4{query}",
                 f"/api/v1/cameras/yard/main/segments{query}", "/nowhere", "/video/yard/main.mp4"):
        get, head = served.http("GET", path), served.http("HEAD", path)
        assert head.status == get.status and head.body == b"", path
        assert {name: value for name, value in head.headers.items() if name != "Date"} == {
            name: value for name, value in get.headers.items() if name != "Date"}, path
        assert int(head.headers["Content-Length"]) == len(get.body), path


def test_the_name_of_a_download(served, whole):
    name = whole.headers["Content-Disposition"]
    assert name.startswith('inline; filename="yard_main_2') and name.endswith('s.mp4"')
    saved = served.download("yard", **span_of(served), download=1)
    assert saved.headers["Content-Disposition"] == name.replace("inline", "attachment")


def test_a_connection_is_used_again(served, whole):
    address, port = served.address().rsplit(":", 1)
    connection = http.client.HTTPConnection(address, int(port), timeout=60)
    target = "/video/yard/main.mp4?start={start}&end={end}".format(**span_of(served))
    connection.connect()
    used = connection.sock
    for headers, status in (({}, 200), ({"Range": "bytes=0-9"}, 206), ({"Range": "bytes=999999999-"}, 416),
                            ({"If-None-Match": "*"}, 304), ({}, 200)):
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        assert answer.status == status
        answer.read()
        assert connection.sock is used
    connection.close()


# --- What may be kept

def test_settled_footage_may_be_kept(served, whole):
    assert whole.headers["Cache-Control"] == "private, max-age=3600, immutable"
    span = span_of(served)
    open_end = served.download("yard", start=span["start"], duration="20h").expect(200)
    assert open_end.headers["Cache-Control"] == "private, no-cache"
    for path in ("/api/v1/cameras", "/nowhere", "/metrics"):
        assert served.get(path).headers["Cache-Control"] == "no-store", path


# --- Pages of other origins

def test_a_page_that_may_can_read_the_answer(served, whole):
    for origin in (WALL, "http://192.0.2.7:8123"):
        answer = ask(served, Origin=origin).expect(200)
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Access-Control-Allow-Credentials"] is None
        exposed = {name.strip().lower()
                   for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
        assert {"etag", "content-range", "content-length", "accept-ranges", "content-disposition"} <= exposed
        assert {name.lower() for name in answer.headers if name.startswith("X-Keepframe-")} <= exposed
    # Errors, too: a page can say what is wrong.
    answer = served.get("/nowhere", headers={"Origin": WALL}).expect(404)
    assert answer.headers["Access-Control-Allow-Origin"] == WALL


def test_other_pages_can_not(served, whole):
    for origin in ("https://evil.example", "null", "https://wall.example:444", "https://WALL.example",
                   "https://wall.example.evil.example", ""):
        answer = ask(served, Origin=origin).expect(200)
        assert not [name for name in answer.headers if name.startswith("Access-Control-")], origin
    # An answer to one is not kept for another.
    assert whole.headers["Vary"] == "Origin"


def preflight(served, origin, path, method, headers=None):
    return served.http("OPTIONS", path, headers={
        "Origin": origin, "Access-Control-Request-Method": method,
        **({"Access-Control-Request-Headers": headers} if headers else {})})


def test_a_page_asks_first(served):
    answer = preflight(served, WALL, "/api/v1/events", "POST", "content-type").expect(204)
    assert answer.body == b""
    assert answer.headers["Access-Control-Allow-Origin"] == WALL
    methods = {name.strip() for name in answer.headers["Access-Control-Allow-Methods"].split(",")}
    assert {"GET", "HEAD", "POST"} == methods
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    for name in ("content-type", "authorization", "range", "if-range"):
        assert name in allowed
    answer = preflight(served, "https://evil.example", "/api/v1/events", "POST").expect(403)
    assert answer.json["error"]["code"] == "foreign_origin"
    assert answer.headers["Access-Control-Allow-Origin"] is None
    preflight(served, WALL, "/nowhere", "GET").expect(404)
    served.http("OPTIONS", "/api/v1/events", headers={"Origin": WALL}).expect(405)


def test_a_page_that_may_can_change_something(served):
    event = {"camera": "yard", "start": span_of(served)["start"], "label": "seen"}
    headers = {"Origin": WALL, "Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"}
    served.http("POST", "/api/v1/events", headers=headers, body=json.dumps(event)).expect(201)
    headers["Origin"] = "https://evil.example"
    answer = served.http("POST", "/api/v1/events", headers=headers, body=json.dumps(event)).expect(403)
    assert answer.json["error"]["code"] == "foreign_origin"


def test_who_may_changes_with_the_configuration(lab):
    keepframe = lab.keepframe()
    keepframe.configure(CAMERAS)
    keepframe.start().wait_ready()

    def allowed():
        return keepframe.get("/healthz", headers={"Origin": WALL}).headers["Access-Control-Allow-Origin"]
    assert allowed() is None
    assert keepframe.get("/healthz").headers["Vary"] is None
    keepframe.configure(CAMERAS, http={"listen": "127.0.0.1:0", "cors": ["https://WALL.example:443"]})
    keepframe.send(signal.SIGHUP)
    wait_for("the origin may", lambda: allowed() == WALL)
    keepframe.configure(CAMERAS)
    keepframe.send(signal.SIGHUP)
    wait_for("it may no more", lambda: allowed() is None)


# --- Absurd requests

def raw(keepframe, request):
    """The answer's first line and body, to whatever is sent."""
    address, port = keepframe.address().rsplit(":", 1)
    with socket.create_connection((address, int(port)), timeout=60) as peer:
        try:
            peer.sendall(request)
            peer.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = b""
        try:
            while data := peer.recv(65536):
                answer += data
        except ConnectionError:
            pass
    return answer


def test_absurd_headers_are_refused_by_name(served):
    many = b"".join(b"X-%d: y\r\n" % number for number in range(5000))
    for request, status in (
            (b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
            (b"GET /?" + b"a=b&" * 15_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
            (b"GET / HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n", b"431"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 60_000 + b"\r\n\r\n", b"431")):
        answer = raw(served, request)
        assert answer.startswith(b"HTTP/1.1 " + status), (request[:30], answer[:80])
    assert served.get("/healthz").status in (200, 503)


@pytest.mark.parametrize("params, field, code", [
    ({"start": "1990-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z"}, "end", "range_too_long"),
    ({"start": "0", "duration": "999999999d"}, "duration", None),
    ({"start": "-99999999999999999999", "end": "5"}, "start", "bad_parameter"),
    ({"start": "5"}, "end", "missing_parameter"),
    ({"start": "9", "end": "5"}, "end", "bad_parameter"),
    ({"start": "0", "end": "5", "colour": "red"}, "colour", "unknown_parameter"),
    ({"start": "0", "end": "5", "audio": "maybe"}, "audio", "bad_parameter"),
])
def test_absurd_parameters_are_named(served, params, field, code):
    answer = served.download("yard", **params).expect(400)
    assert answer.json["error"]["field"] == field
    assert code is None or answer.json["error"]["code"] == code
