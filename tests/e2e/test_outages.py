"""Why there is no footage stands in the catalog, from the end of what there is to the start of what comes next."""

import json
import os
import signal

import pytest

from camera import Mount

YARD = Mount("yard", length=60)


def outages(keepframe):
    return keepframe.catalog(
        "SELECT run, start_us, end_us, reason FROM outage JOIN stream ON stream.id = stream_id "
        "WHERE camera = 'yard' ORDER BY start_us")


def footage(keepframe):
    """From when to when there is footage of each run, as the segments say."""
    return dict((run, (start, end)) for run, start, end in keepframe.catalog(
        "SELECT run, min(start_us), max(end_us) FROM footage WHERE camera = 'yard' GROUP BY run"))


def stories(keepframe):
    """What the run files say."""
    return [json.loads(path.read_text()) for path in keepframe.cache_files("yard", suffix=".json")]


@pytest.fixture
def yard(lab):
    camera = lab.camera(YARD)
    keepframe = lab.keepframe()
    keepframe.configure({"yard": {"url": camera.url("yard")}}, recording={"segment": "2s", "timeout": "2s"})
    keepframe.start().wait_ready()
    keepframe.wait_sealed("yard", 1)
    return keepframe, camera


def assert_outages_lie_between_footage(keepframe):
    """Of runs that have ended, with others behind them."""
    spans = footage(keepframe)
    runs = sorted(spans)
    found = {run: (start, end) for run, start, end, _ in outages(keepframe)}
    for run, following in zip(runs, runs[1:]):
        assert found[run] == (spans[run][1], spans[following][0])


def test_a_stalled_camera_is_an_outage_from_its_last_frame_to_its_next(yard):
    keepframe, camera = yard
    run = keepframe.wait_open("yard").run
    camera.stall()
    keepframe.wait_for("the outage is there", lambda: [
        row for row in outages(keepframe) if row[0] == run and row[2] is None])
    camera.resume()
    keepframe.wait_for("it has ended", lambda: [
        row for row in outages(keepframe) if row[0] == run and row[2] is not None])
    keepframe.stop()
    assert_outages_lie_between_footage(keepframe)
    (reason,) = [row[3] for row in outages(keepframe) if row[0] == run]
    assert reason in ("timeout", "stalled")


def test_a_stop_is_an_outage_until_the_next_start_records(yard):
    keepframe, _ = yard
    run = keepframe.wait_open("yard").run
    keepframe.stop()
    keepframe.start().wait_ready()
    keepframe.wait_for("the stop is an outage that has ended", lambda: [
        row for row in outages(keepframe) if row[0] == run and row[2] is not None and row[3] == "stopped"])
    keepframe.stop()
    assert_outages_lie_between_footage(keepframe)


def test_a_killed_supervisor_is_an_outage_until_the_next_start_records(yard):
    keepframe, _ = yard
    run = keepframe.wait_open("yard").run
    keepframe.kill()
    keepframe.start().wait_ready()
    keepframe.wait_for("it is an outage that has ended", lambda: [
        row for row in outages(keepframe) if row[0] == run and row[2] is not None
        and row[3] == "supervisor_died"])
    keepframe.stop()
    assert_outages_lie_between_footage(keepframe)
    ((end_us,),) = keepframe.catalog("SELECT end_us FROM run WHERE run = ?", run)
    assert end_us >= footage(keepframe)[run][1], "it ended before its footage"


def test_what_was_tried_while_the_indexer_was_away_counts(yard):
    keepframe, camera = yard
    run = keepframe.wait_open("yard").run
    indexer = keepframe.wait_program("keepframe-indexer")
    os.kill(indexer, signal.SIGSTOP)  # as good as dead, and nobody restarts it for a minute
    try:
        camera.kill()
        keepframe.wait_for("it was tried twice", lambda: [
            story["reason"] for story in stories(keepframe) if story["run"] > run].count("refused") >= 2)
        assert outages(keepframe) == []
        camera.start()
    finally:
        os.kill(indexer, signal.SIGCONT)
    (row,) = keepframe.wait_for("the outage has ended", lambda: [
        row for row in outages(keepframe) if row[0] == run and row[2] is not None])
    assert row[3] != "refused", "its reason is that of the run which it followed"
    ((attempts, last),) = keepframe.catalog("SELECT attempts, last_reason FROM outage")
    assert attempts >= 2 and last == "refused"
    keepframe.stop()
    spans = footage(keepframe)
    first, following = sorted(spans)[:2]
    assert row[:3] == (first, spans[first][1], spans[following][0])


def test_a_failing_camera_that_is_taken_out_of_the_configuration_fails_no_more(yard):
    """Nor does it before somebody wants it again, whether the indexer hears of that or starts with it."""
    keepframe, camera = yard
    wanted = {"yard": {"url": camera.url("yard")}}
    recording = {"segment": "2s", "timeout": "2s"}

    def reasons(*expected):
        keepframe.wait_for(f"the outages are {expected}", lambda: tuple(
            row[3] for row in outages(keepframe)) == expected)

    camera.kill()
    keepframe.wait_for("an attempt has failed", lambda: [
        attempts for (attempts,) in keepframe.catalog("SELECT attempts FROM outage") if attempts])
    ((run, start, end, reason),) = outages(keepframe)
    assert end is None
    keepframe.configure({}, recording=recording).send(signal.SIGHUP)
    reasons(reason, "removed")
    keepframe.configure(wanted, recording=recording).send(signal.SIGHUP)
    reasons(reason, "removed", "refused")
    keepframe.stop()
    keepframe.configure({"yard": {**wanted["yard"], "enabled": False}}, recording=recording)
    keepframe.start().wait_ready()
    reasons(reason, "removed", "refused", "disabled")
    found = outages(keepframe)
    assert found[0][:2] == (run, start) and found[-1][2] is None
    assert [row[2] for row in found[:-1]] == [row[1] for row in found[1:]], "one ends where the next begins"
