"""Locks at work: retention keeps what they hold, and a running download has one."""

import socket

import pytest

from camera import Mount
from times import format_utc
from web import target

FULL = Mount("full", width=640, height=360, gop=5, bitrate=6000, length=20)


@pytest.fixture
def keepframe(lab):
    camera = lab.camera(FULL)
    keepframe = lab.keepframe()
    keepframe.configure({"full": {"url": camera.url("full"), "retain": {"continuous": "12s"}}},
                        recording={"segment": "2s"})
    return keepframe.start().wait_ready()


def lock(keepframe, first, last, **more):
    return keepframe.ask_indexer(
        "lock_add", camera="full", start=format_utc(first.start_us), end=format_utc(last.end_us),
        reason="test", **more)["result"]["lock"]["id"]


def ids(keepframe):
    return {row.id for row in keepframe.sealed("full")}


def test_what_is_locked_outlives_its_age_until_it_is_let_go(keepframe):
    rows = keepframe.wait_sealed("full", 4)
    name = lock(keepframe, rows[1], rows[1])
    keepframe.wait_for("its neighbours are deleted", lambda: not (
        {rows[0].id, rows[2].id, rows[3].id} & ids(keepframe)), timeout=120)
    assert rows[1].id in ids(keepframe)
    path = keepframe.segment_file(rows[1])
    keepframe.http("DELETE", f"/api/v1/locks/{name}").expect(204)
    keepframe.wait_for("it is deleted, too", lambda: not path.exists(), timeout=120)


def test_a_running_download_is_locked(keepframe):
    rows = keepframe.wait_sealed("full", 3)
    ask = {"start": format_utc(rows[0].start_us), "end": format_utc(rows[2].end_us)}
    host, port = (keepframe.runtime / "webui.address").read_text().strip().rsplit(":", 1)

    def locks():
        return keepframe.get("/api/v1/locks").expect(200).json["locks"]

    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.settimeout(60)
        peer.connect((host, int(port)))
        peer.sendall(f"GET {target('/video/full/main.mp4', ask)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert peer.recv(12) == b"HTTP/1.1 200"
        (held,) = keepframe.wait_for("it is locked", locks)
        assert (held["camera"], held["stream"]) == ("full", "main")
        assert held["start"] == ask["start"] and held["end"] >= ask["end"]
        assert held["expires"] is not None and "download" in held["reason"]
        # All of it can still be read, though its time has passed meanwhile.
        later = keepframe.wait_sealed("full", 1, after=rows[2])[0]
        keepframe.wait_for("what is not locked goes", lambda: later.id not in ids(keepframe),
                           timeout=120)
        assert {row.id for row in rows} <= ids(keepframe)
    keepframe.wait_for("the lock has gone with the download", lambda: not locks())


def test_a_download_goes_on_without_an_indexer(keepframe):
    """The same answer, however long it takes, when nobody can be asked for a lock."""
    rows = keepframe.wait_sealed("full", 2)
    ask = {"start": format_utc(rows[0].start_us), "end": format_utc(rows[1].end_us)}
    whole = keepframe.download("full", **ask).expect(200).body
    keepframe.kill_program("keepframe-indexer")
    assert keepframe.download("full", **ask).expect(200).body == whole
