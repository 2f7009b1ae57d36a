"""Events and locks: over indexer.sock and HTTP, durable, idempotent, read from the catalog."""

import json
import os
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from camera import Mount

ONE = Mount("one")
START, END = "2026-03-31T07:30:00Z", "2026-03-31T07:31:00Z"


@pytest.fixture
def keepframe(lab):
    """One that records nothing: its camera is switched off."""
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": "rtsp://127.0.0.1:1/one", "enabled": "false"}})
    return keepframe.start().wait_ready()


def refused(answer, code, field):
    assert not answer["ok"], answer
    error = answer["error"]
    assert (error["code"], error["field"]) == (code, field), error


def test_an_event_on_the_socket(keepframe):
    body = {"camera": "one", "start": START, "label": "dog", "data": {"score": 0.9}}
    first = keepframe.ask_indexer("event_add", **body)["result"]
    assert first["created"] and first["event"] == {
        **body, "id": first["event"]["id"], "stream": None, "end": None,
        "start": "2026-03-31T07:30:00.000000Z"}
    assert uuid.UUID(first["event"]["id"]).version == 7
    again = keepframe.ask_indexer("event_add", **body, id=first["event"]["id"].upper())["result"]
    assert not again["created"] and again["event"] == first["event"]
    refused(keepframe.ask_indexer("event_add", **{**body, "label": "cat"},
                                  id=first["event"]["id"]), "conflict", "id")
    refused(keepframe.ask_indexer("event_end", id=first["event"]["id"],
                                  end="2026-03-31T07:29:00Z"), "bad_parameter", "end")
    ended = keepframe.ask_indexer("event_end", id=first["event"]["id"], end=END)["result"]
    assert ended["event"]["end"] == "2026-03-31T07:31:00.000000Z"
    # What was posted first is still the same, though it was ended since.
    again = keepframe.ask_indexer("event_add", **body, id=first["event"]["id"])["result"]
    assert not again["created"] and again["event"] == ended["event"]
    # Answered means durable: it outlives the indexer's death.
    keepframe.kill_program("keepframe-indexer")
    assert keepframe.catalog("SELECT label, end_us - start_us FROM event") == [("dog", 60_000_000)]
    keepframe.wait_for("the indexer answers again", lambda: answers(keepframe))
    assert keepframe.ask_indexer("event_remove", id=first["event"]["id"])["ok"]
    refused(keepframe.ask_indexer("event_remove", id=first["event"]["id"]), "not_found", "id")
    refused(keepframe.ask_indexer("event_end", id=first["event"]["id"], end=END), "not_found", "id")


def answers(keepframe):
    try:
        return keepframe.ask_indexer("status")["ok"]
    except (OSError, ValueError):
        return False


def test_a_lock_on_the_socket(keepframe):
    body = {"camera": "one", "stream": "main", "start": START, "end": END, "reason": "theft"}
    first = keepframe.ask_indexer("lock_add", **body)["result"]
    assert first["created"] and first["lock"]["expires"] is None
    name = first["lock"]["id"]
    assert not keepframe.ask_indexer("lock_add", **body, id=name)["result"]["created"]
    refused(keepframe.ask_indexer("lock_add", **{**body, "reason": "x"}, id=name), "conflict", "id")
    refused(keepframe.ask_indexer("lock_renew", id=name, expires=START), "bad_parameter", "expires")
    moved = keepframe.ask_indexer("lock_renew", id=name, expires="2096-01-01T00:00:00Z")["result"]
    assert moved["lock"]["expires"] == "2096-01-01T00:00:00.000000Z"
    assert keepframe.ask_indexer("lock_remove", id=name)["ok"]
    refused(keepframe.ask_indexer("lock_remove", id=name), "not_found", "id")
    assert keepframe.catalog("SELECT count(*) FROM lock") == [(0,)]


def test_what_the_socket_refuses(keepframe):
    event = {"camera": "one", "start": START, "label": "dog"}
    lock = {"camera": "one", "start": START, "end": END, "reason": "theft"}
    ask = keepframe.ask_indexer
    refused(ask("event_add", **{**event, "camera": "two"}), "camera_not_found", "camera")
    refused(ask("lock_add", **lock, stream="sub"), "stream_not_found", "stream")
    refused(ask("event_add", **event, colour="red"), "unknown_parameter", "colour")
    refused(ask("event_end", id="1"), "bad_parameter", "id")
    refused(ask("event_end", end=END), "missing_parameter", "id")
    refused(ask("lock_add", **lock, expires=START), "bad_parameter", "expires")
    refused(ask("marks"), "unknown_command", "command")
    assert keepframe.catalog("SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM lock)") \
        == [(0,)]


# --- HTTP


def send(keepframe, method, path, body=None, **headers):
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
        body = body if isinstance(body, str) else json.dumps(body)
    return keepframe.http(method, path, headers=headers, body=body)


def expect_error(answer, status, code, field=None):
    error = answer.expect(status).json["error"]
    assert (error["code"], error["field"]) == (code, field), error


def test_an_event_over_http(keepframe):
    name = str(uuid.uuid4())
    body = {"id": name, "camera": "one", "start": "2026-03-31T09:30:00.25+02:00", "label": "dog"}
    event = send(keepframe, "POST", "/api/v1/events", body).expect(201).json
    assert event == {"node": event["node"], "id": name, "camera": "one", "stream": None,
                     "start": "2026-03-31T07:30:00.250000Z", "end": None, "label": "dog",
                     "data": None}
    assert send(keepframe, "POST", "/api/v1/events", body).expect(200).json == event
    expect_error(send(keepframe, "POST", "/api/v1/events", {**body, "label": "cat"}),
                 409, "conflict", "id")
    path = f"/api/v1/events/{name}"
    ended = send(keepframe, "PATCH", path, {"end": "2026-03-31T07:31:00Z"}).expect(200).json
    assert ended == {**event, "end": "2026-03-31T07:31:00.000000Z"}
    listed = keepframe.get("/api/v1/events").expect(200).json
    assert listed == {"node": event["node"], "cursor": None, "events": [
        {key: value for key, value in ended.items() if key != "node"}]}
    answer = send(keepframe, "DELETE", path).expect(204)
    assert answer.body == b"" and answer.headers["Content-Type"] is None
    expect_error(send(keepframe, "DELETE", path), 404, "not_found", "id")
    expect_error(send(keepframe, "PATCH", path, {"end": END}), 404, "not_found", "id")
    assert keepframe.get("/api/v1/events").json["events"] == []


def test_what_http_refuses(keepframe):
    path, body = "/api/v1/events", {"camera": "one", "start": START, "label": "dog"}
    expect_error(send(keepframe, "POST", path, "nonsense"), 400, "bad_body")
    expect_error(send(keepframe, "POST", path, {**body, "command": "lock_remove"}),
                 400, "unknown_parameter", "command")
    expect_error(send(keepframe, "POST", path, {**body, "start": "yesterday"}),
                 400, "bad_parameter", "start")
    expect_error(send(keepframe, "POST", path, {"camera": "one", "label": "x"}),
                 400, "missing_parameter", "start")
    expect_error(send(keepframe, "POST", path, {**body, "camera": "two"}),
                 404, "camera_not_found", "camera")
    expect_error(send(keepframe, "POST", path, {**body, "data": "x" * 9000}),
                 400, "bad_parameter", "data")
    expect_error(send(keepframe, "POST", path, {**body, "data": "x" * 17000}), 413, "too_large")
    expect_error(send(keepframe, "POST", path, body, Origin="http://evil.example"),
                 403, "foreign_origin")
    expect_error(send(keepframe, "POST", path, body, **{"Content-Type": "text/plain"}),
                 415, "bad_content_type")
    expect_error(send(keepframe, "PUT", path, body), 405, "method_not_allowed")
    name = send(keepframe, "POST", path, body).expect(201).json["id"]
    one = f"{path}/{name}"
    expect_error(send(keepframe, "PATCH", one, {"end": END, "id": name}),
                 400, "unknown_parameter", "id")
    expect_error(send(keepframe, "PATCH", one, {"end": "2026-03-31T07:29:59Z"}),
                 400, "bad_parameter", "end")
    expect_error(send(keepframe, "PATCH", one, {"end": None}), 400, "missing_parameter", "end")
    expect_error(send(keepframe, "DELETE", one, Origin="http://evil.example"),
                 403, "foreign_origin")
    expect_error(send(keepframe, "DELETE", one, {}), 400, "unexpected_body")
    assert send(keepframe, "GET", one).expect(405).headers["Allow"] == "PATCH, DELETE"
    assert len(keepframe.get(path).json["events"]) == 1, "nothing of that has done anything"


def test_events_page_by_page(keepframe):
    begins = [f"2026-03-31T07:{minute:02d}:00.000000Z" for minute in (5, 1, 9, 1, 3)]
    for begin in begins:
        send(keepframe, "POST", "/api/v1/events",
             {"camera": "one", "start": begin, "label": "x"}).expect(201)
    got, cursor = [], None
    while True:
        page = keepframe.get("/api/v1/events", {"limit": 2, "cursor": cursor}).expect(200).json
        assert len(page["events"]) <= 2
        got += page["events"]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert [event["start"] for event in got] == sorted(begins)
    assert len({event["id"] for event in got}) == 5
    expect_error(keepframe.get("/api/v1/events", {"cursor": "7"}), 400, "bad_parameter", "cursor")
    # Events that go on intersect with everything later, nothing earlier.
    seen = keepframe.get("/api/v1/events", {"start": "2026-03-31T08:00:00Z"}).json["events"]
    assert len(seen) == 5
    seen = keepframe.get("/api/v1/events", {"end": "2026-03-31T07:03:00Z"}).json["events"]
    assert [event["start"] for event in seen] == sorted(begins)[:2]
    assert keepframe.get("/api/v1/events", {"camera": "two"}).json["events"] == []


def test_locks_over_http(keepframe):
    body = {"camera": "one", "start": START, "end": END, "reason": "theft"}
    lock = send(keepframe, "POST", "/api/v1/locks", body).expect(201).json
    name = lock["id"]
    assert send(keepframe, "POST", "/api/v1/locks", {**body, "id": name}).expect(200).json == lock
    expect_error(send(keepframe, "POST", "/api/v1/locks", {**body, "id": name, "reason": "x"}),
                 409, "conflict", "id")
    assert keepframe.get("/api/v1/locks").json == {"node": lock["node"], "cursor": None, "locks": [
        {key: value for key, value in lock.items() if key != "node"}]}
    moved = send(keepframe, "PATCH", f"/api/v1/locks/{name}",
                 {"expires": "2096-01-01T00:00:00Z"}).expect(200).json
    assert moved["expires"] == "2096-01-01T00:00:00.000000Z"
    assert keepframe.get("/api/v1/locks", {"start": END}).json["locks"] == []
    assert len(keepframe.get("/api/v1/locks", {"stream": "main"}).json["locks"]) == 1
    send(keepframe, "DELETE", f"/api/v1/locks/{name}").expect(204)
    assert keepframe.get("/api/v1/locks").json["locks"] == []


def test_a_silent_indexer_holds_up_no_other_request(keepframe):
    """While it is stopped, changes are waited for and everything else is answered."""
    pid = keepframe.wait_program("keepframe-indexer")
    body = {"camera": "one", "start": START, "label": "dog", "id": str(uuid.uuid4())}
    os.kill(pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(send, keepframe, "POST", "/api/v1/events", body)
            for _ in range(5):
                keepframe.get("/api/v1/events").expect(200)
            assert not asked.done()
            os.kill(pid, signal.SIGCONT)
            assert asked.result().status == 201
    finally:
        os.kill(pid, signal.SIGCONT)
    keepframe.stop()
