"""A changed configuration touches exactly what it changes; a broken one touches nothing."""

import os
import signal

import pytest

from camera import Mount

MOUNTS = [Mount(name, length=60) for name in ("stays", "goes", "comes", "other")]


@pytest.fixture
def running(lab):
    """A Keepframe that records stays, goes and other; and its cameras' configuration."""
    camera = lab.camera(*MOUNTS)
    keepframe = lab.keepframe()
    cameras = {name: {"url": camera.url(name)} for name in ("stays", "goes", "other")}
    keepframe.configure(cameras).start().wait_ready()
    for name in cameras:
        keepframe.wait_open(name)
    return keepframe, camera, cameras


def recorders(keepframe):
    return {name: keepframe.recorder_pid(name) for name in ("stays", "goes", "comes", "other")}


def changed(camera, cameras):
    """One camera added, one removed, one changed, one untouched."""
    tree = {name: dict(keys) for name, keys in cameras.items() if name != "goes"}
    tree["other"]["segment"] = "2s"
    tree["comes"] = {"url": camera.url("comes")}
    return tree


def assert_applied(keepframe, before, programs):
    keepframe.wait_for("the removed camera's recorder has ended",
                       lambda: keepframe.recorder_pid("goes") is None)
    keepframe.wait_recorder("other", other_than=before["other"])
    keepframe.wait_open("comes")
    keepframe.wait_sealed("goes", 1)
    keepframe.wait_open("other", run_after=min(row.run for row in keepframe.segments("other")))
    after = recorders(keepframe)
    assert after["stays"] == before["stays"], "the untouched camera's recorder was restarted"
    assert after["other"] not in (None, before["other"])
    assert after["comes"] and after["goes"] is None
    assert len({row.run for row in keepframe.segments("stays")}) == 1
    assert len({row.run for row in keepframe.segments("other")}) == 2
    assert len({row.run for row in keepframe.segments("goes")}) == 1
    for name, pid in programs.items():
        assert keepframe.program_pid(name) == pid


def programs_of(keepframe):
    return {name: keepframe.wait_program(name) for name in ("keepframe-indexer", "keepframe-webui")}


def test_sighup_starts_stops_and_restarts_what_changed(running):
    keepframe, camera, cameras = running
    before, programs = recorders(keepframe), programs_of(keepframe)
    keepframe.configure(changed(camera, cameras)).send(signal.SIGHUP)
    assert_applied(keepframe, before, programs)


def test_keepframe_reload_does_the_same(running):
    keepframe, camera, cameras = running
    before, programs = recorders(keepframe), programs_of(keepframe)
    done = keepframe.configure(changed(camera, cameras)).command("reload")
    assert done.returncode == 0, done.stderr
    assert_applied(keepframe, before, programs)


def test_a_reload_without_a_change_touches_nothing(running):
    keepframe, _, _ = running
    before, programs = recorders(keepframe), programs_of(keepframe)
    assert keepframe.command("reload").returncode == 0
    assert recorders(keepframe) == before
    assert programs_of(keepframe) == programs


def test_a_camera_that_is_not_enabled_is_not_recorded_and_keeps_its_footage(running):
    keepframe, _, cameras = running
    cameras["goes"]["enabled"] = False
    keepframe.configure(cameras).send(signal.SIGHUP)
    keepframe.wait_for("its recorder has ended", lambda: keepframe.recorder_pid("goes") is None)
    assert keepframe.wait_sealed("goes", 1)
    cameras["goes"]["enabled"] = True
    first = keepframe.sealed("goes")[-1]
    keepframe.configure(cameras).send(signal.SIGHUP)
    keepframe.wait_open("goes", run_after=first.run)


def test_a_broken_file_changes_nothing_and_the_error_names_line_and_key(running):
    keepframe, camera, cameras = running
    before, programs = recorders(keepframe), programs_of(keepframe)
    tree = changed(camera, cameras)
    tree["stays"]["segmnet"] = "9s"
    keepframe.configure(tree)
    line = next(number for number, text in enumerate(keepframe.config.read_text().splitlines(), 1)
                if "segmnet" in text)
    place = f"{keepframe.config}:{line}:"

    done = keepframe.command("reload")
    assert done.returncode != 0
    assert place in done.stderr and "segmnet" in done.stderr and "segment" in done.stderr

    told = len(keepframe.log_lines(place, "segmnet"))
    keepframe.send(signal.SIGHUP)
    keepframe.wait_for("the log names the line",
                       lambda: len(keepframe.log_lines(place, "segmnet")) > told)
    assert recorders(keepframe) == before
    assert programs_of(keepframe) == programs

    done = keepframe.command("check-config")
    assert done.returncode == 78
    assert place in done.stderr and "segmnet" in done.stderr

    # It is still a daemon that can be mended.
    keepframe.configure(changed(camera, cameras)).send(signal.SIGHUP)
    assert_applied(keepframe, before, programs)


def test_an_error_in_a_file_whose_name_is_no_text_is_told_everywhere(lab):
    keepframe = lab.keepframe()
    keepframe.configure({}, include=["cameras.d/*.yaml"]).start().wait_ready()
    (keepframe.folder / "cameras.d").mkdir()
    name = os.fsencode(keepframe.folder / "cameras.d") + b"/h\xf6f\n.yaml"
    with open(name, "wb") as out:
        out.write(b"cameras: {yard: {url: [}}\n")
    answer = keepframe.ask("reload")
    assert answer["error"]["code"] == "configuration"
    assert "cameras.d/h?f?.yaml:1:24: not valid YAML" in answer["error"]["message"]
    config = keepframe.ask("status")["result"]["config"]
    assert not config["successful"] and config["error"] == answer["error"]["message"]
    assert keepframe.get("/healthz").status == 200
