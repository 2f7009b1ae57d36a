"""What /metrics says, held against what is on disk and what has happened."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import media
from camera import Mount
from promtext import Metrics

TREE = Path(__file__).resolve().parents[2]
GRAFANA = TREE / "conf" / "grafana"
ONE = Mount("one")
TWO = Mount("two", audio=True)


def metrics_of(keepframe):
    answer = keepframe.get("/metrics").expect(200)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Metrics(answer.body.decode())


def test_prometheus_finds_nothing_to_complain_about(recording):
    text = recording.keepframe.get("/metrics").expect(200).body
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode()


def test_requests_are_counted_by_route_and_status(recording):
    keepframe = recording.keepframe
    video = "/video/{camera}/{stream}.mp4"

    def counts():
        metrics = metrics_of(keepframe)
        return [metrics.get("http_requests_total", route=route, code=code) or 0
                for route, code in (("/healthz", "200"), (video, "200"), (video, "206"),
                                    (video, "400"), (video, "404"), ("none", "404"),
                                    ("/", "304"))] + [
            metrics.get("http_response_bytes_total"),
            metrics.get("http_request_seconds_count", route=video) or 0,
            metrics.get("http_request_seconds_bucket", route=video, le="+Inf") or 0]

    row = keepframe.sealed("avc")[0]
    own = len(keepframe.get("/metrics").body)  # of the next one, but for a few digits
    before = counts()
    whole = keepframe.download("avc", start=row.start_us / 1e6, duration="3s").expect(200).body
    part = keepframe.download("avc", start=row.start_us / 1e6, duration="3s",
                              headers={"Range": "bytes=100-299"}).expect(206).body
    keepframe.download("avc").expect(400)
    keepframe.download("nobody", start=1, duration="1s").expect(404)
    keepframe.get("/healthz")
    keepframe.get("/no/such/address").expect(404)
    tag = keepframe.get("/").headers["ETag"]
    page = len(keepframe.get("/").body)
    keepframe.get("/", headers={"If-None-Match": tag}).expect(304)
    keepframe.http("HEAD", "/video/avc/main.mp4",
                   {"start": row.start_us / 1e6, "duration": "3s"}).expect(200)
    after = counts()
    rose = [b - a for a, b in zip(before, after)]
    assert rose[:7] == [1, 2, 1, 1, 1, 1, 1]
    assert rose[8:] == [5, 5]
    least = len(whole) + len(part) + 2 * page + own
    assert least - 200 <= rose[7] <= least + 2000, "beside the errors' few bytes"


@pytest.fixture
def running(lab):
    camera = lab.camera(ONE, TWO)
    keepframe = lab.keepframe()
    keepframe.configure({name: {"url": camera.url(name)} for name in ("one", "two")})
    keepframe.start().wait_ready()
    for name in ("one", "two"):
        keepframe.wait_for(f"{name} is up", lambda: metrics_of(keepframe).get(
            "stream_up", camera=name, stream="main"))
    return keepframe, camera


# What is documented, and what of it takes longer to be known.
PROMISED = {
    "stream_up", "stream_state", "stream_frames_total", "stream_bytes_total",
    "stream_dropped_frames_total", "stream_duplicated_frames_total", "stream_fps",
    "stream_bytes_per_second", "stream_last_frame_timestamp_seconds", "stream_restarts_total",
    "stream_gap_seconds_total", "stream_oldest_timestamp_seconds", "stream_cpu_seconds_total",
    "segments_committed_total", "segments_quarantined_total", "segments_deleted_total",
    "index_lag_seconds", "cache_bytes", "cache_sync_seconds", "volume_free_bytes",
    "volume_used_bytes", "http_requests_total", "http_response_bytes_total",
    "http_responses_cut_short_total", "http_request_seconds_bucket", "http_request_seconds_sum", "http_request_seconds_count",
    "live_clients", "live_fragments_sent_total", "live_fragments_dropped_total",
    "live_playlists_waiting", "live_playlists_unwaited_total",
    "program_up", "program_restarts_total", "build_info", "loop_delay_seconds_bucket",
    "loop_delay_seconds_sum", "loop_delay_seconds_count", "config_last_reload_successful",
    "config_last_reload_timestamp_seconds", "clock_synchronised",
}
LATER = {"stream_clock_skew_seconds", "stream_resident_bytes"}


def test_all_metrics_are_there(recording):
    names = {name.removeprefix("keepframe_") for name in metrics_of(recording.keepframe).names()}
    assert PROMISED <= names <= PROMISED | LATER


def test_all_metrics_are_documented():
    text = (TREE / "docs" / "monitoring.md").read_text()
    for name in PROMISED | LATER:
        plain = re.sub("_(bucket|sum|count)$", "", name)
        short = "…" + plain.removeprefix("stream_dropped_frames").removeprefix("stream")
        assert f"`keepframe_{plain}`" in text or f"`{short}`" in text, plain


def test_prometheus_takes_the_rules(tmp_path):
    rules = GRAFANA / "keepframe-rules.yaml"
    done = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True)
    assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr
    shutil.copy(rules, tmp_path)
    tests = shutil.copy(Path(__file__).with_name("alerts.yaml"), tmp_path)
    done = subprocess.run(["promtool", "test", "rules", tests], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_dashboard_ask_for_metrics_that_there_are():
    board = json.loads((GRAFANA / "keepframe-dashboard.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 25
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(numbers) == len(set(numbers))
    rules = (GRAFANA / "keepframe-rules.yaml").read_text()
    variables = json.dumps(board["templating"])
    for text in [*queries, rules, variables]:
        for name in re.findall(r"\bkeepframe_([a-z_]+)", text):
            assert name in PROMISED | LATER, name


def test_a_stream_s_figures_are_those_of_its_files(running):
    """The camera dies and comes back: what was counted is what lies on disk, and the end shows."""
    keepframe, camera = running
    labels = {"camera": "one", "stream": "main"}
    keepframe.wait_sealed("one")
    last = metrics_of(keepframe)
    assert last.get("stream_state", state="recording", **labels) == 1
    assert 20 < last.get("stream_fps", **labels) < 30
    assert last.get("stream_gap_seconds_total", reason="unknown", **labels) == 0
    camera.kill()
    down = keepframe.wait_for("it is down", lambda: _if(
        metrics_of(keepframe), lambda seen: seen.get("stream_up", **labels) == 0
        and sum(s.value for s in seen.all("stream_restarts_total", **labels)) > 0))
    keepframe.wait_for("all is filed", lambda: not keepframe.cache_files("one"))
    files = keepframe.volume_files("one")
    assert down.get("stream_frames_total", **labels) == sum(
        len(media.packets(path, "v")) for path in files)
    # Sealing appends the index that makes a file seekable.
    bytes_total = down.get("stream_bytes_total", **labels)
    size = sum(path.stat().st_size for path in files)
    assert size - 10_000 * len(files) < bytes_total < size
    assert sum(s.value for s in down.all("stream_state", **labels)) == 1
    assert down.get("stream_last_frame_timestamp_seconds", **labels) == pytest.approx(
        keepframe.sealed("one")[-1].end_us / 1e6, abs=2)
    gap = sum(s.value for s in down.all("stream_gap_seconds_total", **labels))
    later = keepframe.wait_for("the gap grows", lambda: _if(
        metrics_of(keepframe), lambda seen: sum(
            s.value for s in seen.all("stream_gap_seconds_total", **labels)) > gap + 1))
    assert later.get("stream_frames_total", **labels) == down.get("stream_frames_total", **labels)
    camera.start()
    up = keepframe.wait_for("it is up again", lambda: _if(
        metrics_of(keepframe), lambda seen: seen.get("stream_up", **labels) == 1
        and seen.get("stream_frames_total", **labels)
        > down.get("stream_frames_total", **labels)))
    for name in ("stream_bytes_total", "stream_cpu_seconds_total"):
        assert up.get(name, **labels) >= down.get(name, **labels)


def _if(value, holds):
    """The value when it holds, else None."""
    return value if holds(value) else None


def test_what_a_program_that_does_not_answer_knows_is_absent(running):
    keepframe, _ = running
    pid = keepframe.wait_program("keepframe-indexer")

    def up():
        return metrics_of(keepframe).get("program_up", program="indexer")
    keepframe.wait_for("the indexer answers", lambda: up() == 1)
    os.kill(pid, signal.SIGSTOP)
    try:
        keepframe.wait_for("it is missed", lambda: up() == 0)
        metrics = metrics_of(keepframe)
        assert metrics.get("program_up", program="supervisor") == 1
        assert not [name for name in metrics.names() if "segments" in name or "volume" in name]
        assert metrics.get("stream_up", camera="one", stream="main") == 1
    finally:
        os.kill(pid, signal.SIGCONT)
    keepframe.wait_for("it is back", lambda: up() == 1)
    assert metrics_of(keepframe).get("segments_committed_total") is not None


def test_a_supervisor_that_does_not_answer_makes_no_stream_down(running):
    keepframe, _ = running
    keepframe.send(signal.SIGSTOP)
    try:
        keepframe.wait_for("it is missed", lambda: metrics_of(keepframe).get(
            "program_up", program="supervisor") == 0)
        assert not metrics_of(keepframe).all("stream_up")
        keepframe.get("/camera/one/frame").expect(503)
        items = keepframe.get("/zabbix/items").expect(200).json
        assert (items["daemon"]["supervisor_up"], items["daemon"]["indexer_up"]) == (0, 1)
        assert "streams_down" not in items["daemon"]
        assert "up" not in items["streams"]["one/main"] and "committed" in items["storage"]
    finally:
        keepframe.send(signal.SIGCONT)
    keepframe.wait_for("it is back", lambda: metrics_of(keepframe).get(
        "stream_up", camera="one", stream="main") == 1)


def test_the_storage_is_as_large_as_the_file_system_says(running):
    keepframe, _ = running
    keepframe.wait_sealed("two", 2)
    volume = str(keepframe.video)
    used = keepframe.wait_for("what is used is what lies there", lambda: (
        sum(path.stat().st_size for path in keepframe.volume_files())
        == metrics_of(keepframe).get("volume_used_bytes", volume=volume)))
    assert used
    disk = shutil.disk_usage(keepframe.video)
    metrics = metrics_of(keepframe)
    assert abs(metrics.get("volume_free_bytes", volume=volume) - disk.free) < disk.total / 100
    rows = keepframe.catalog("SELECT count(*) FROM segment")[0][0]
    assert 0 <= rows - metrics.get("segments_committed_total") <= 2  # they go on being filed
    oldest = metrics.get("stream_oldest_timestamp_seconds", camera="two", stream="main")
    assert abs(oldest - keepframe.sealed("two")[0].start_us / 1e6) < 1e-6
    assert metrics.get("segments_deleted_total", reason="min_free") == 0
    cache = sum(path.stat().st_size for path in keepframe.cache.rglob("*.mp4"))
    assert cache / 3 < metrics.get("cache_bytes") < cache * 3 + 1_000_000
    assert metrics.get("index_lag_seconds") < 60


def test_a_camera_s_wrong_clock_is_told(lab):
    """The camera's clock is 40 s late."""
    camera = lab.camera(ONE, env=lab.preload_env("clockshift.so", CLOCKSHIFT="-40"))
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}}).start().wait_ready()
    skew = keepframe.wait_for("the skew is told", lambda: metrics_of(keepframe).get(
        "stream_clock_skew_seconds", camera="one", stream="main"))
    assert -40.5 < skew < -39.9
