"""Events and locks: over indexer.sock, durable, idempotent, and read by everybody from the catalog."""

import uuid

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
