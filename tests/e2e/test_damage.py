"""Footage that is damaged behind the catalog's back: a download ends early, never with wrong bytes,
and whatever does not need the damaged part goes on."""

import http.client
import signal

import pytest

from camera import Mount
from times import format_utc


@pytest.fixture(scope="module")
def footage(build):
    """Five sealed segments of a camera that is not recorded any more, and the whole as it was."""
    from lab import Lab
    lab = Lab(build)
    try:
        camera = lab.camera(Mount("yard"))
        keepframe = lab.keepframe().configure(
            {"yard": {"url": camera.url("yard"), "segment": "2s"}})
        keepframe.start().wait_ready().wait_sealed("yard", 5)
        keepframe.configure({"yard": {"url": camera.url("yard"), "enabled": False}})
        keepframe.send(signal.SIGHUP)
        keepframe.wait_for("it is stopped", lambda: not keepframe.recorder_pid("yard"))
        keepframe.wait_for("all is filed", lambda: not keepframe.cache_files("yard"))
        rows = keepframe.wait_sealed("yard", 5)
        yield keepframe, rows
    finally:
        lab.close()


def received(keepframe, params):
    """What comes of a download, and whether it came to its end."""
    try:
        answer = keepframe.download("yard", **params)
    except http.client.IncompleteRead as error:
        return error.partial, False
    return answer.expect(200).body, True


def longer(path, other):
    path.unlink()
    path.write_bytes(other + bytes(100_000))


def shorter(path, _):
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2)


def empty(path, _):
    path.unlink()
    path.touch()


def gone(path, _):
    path.unlink()


def directory(path, _):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [longer, shorter, empty, gone, directory])
def test_a_download_over_damaged_footage_ends_early(footage, damage):
    keepframe, rows = footage
    pid = keepframe.program_pid("keepframe-webui")
    params = {"start": format_utc(rows[0].start_us), "end": format_utc(rows[4].end_us)}
    whole, complete = received(keepframe, params)
    assert complete
    path = keepframe.segment_file(rows[3])
    aside = path.with_suffix(".aside")
    path.rename(aside)
    path.write_bytes(aside.read_bytes())
    try:
        damage(path, keepframe.segment_file(rows[1]).read_bytes())
        part, complete = received(keepframe, params)
        assert not complete and len(part) < len(whole)
        assert part == whole[:len(part)]
        sound = {"start": params["start"], "end": format_utc(rows[2].end_us)}
        assert received(keepframe, sound)[1]
    finally:
        if path.is_dir():
            path.rmdir()
        aside.replace(path)
    assert received(keepframe, params) == (whole, True)
    assert keepframe.program_pid("keepframe-webui") == pid
