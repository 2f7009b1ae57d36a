"""The benchmarks behind scripts/bench. Each compares with another program in the same run, alternating, and
quotes medians: machines differ and drift, ratios hold."""
import argparse
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

SEGMENTS = 11
RUN = 1767225600000  # 2026-01-01T00:00:00Z
RECORD_OPTIONS = ("movflags=+frag_keyframe+empty_moov+default_base_moof+frag_discont+negative_cts_offsets"
                  "+skip_trailer:write_prft=wallclock:flush_packets=1:frag_duration=500000"
                  ":video_track_timescale=90000")


class Table:
    """Collects the rows and prints them: name, value, unit, target, met."""

    def __init__(self, as_json):
        self.as_json = as_json

    def row(self, name, value, unit, target=None, met=None):
        if self.as_json:
            print(json.dumps({"row": name, "value": value, "unit": unit, "target": target, "met": met}))
        else:
            judged = "" if met is None else "met" if met else "NOT MET"
            print(f"{name:<58} {value:>12.3f} {unit:<14} {target or '':<12} {judged}")
        sys.stdout.flush()


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)


def make_segments(folder):
    """SEGMENTS segments of 60 s, 1080p 25 fps H.264 at 4 Mbit/s (a moving, noisy picture; key frame every 2 s) with AAC, the
    video's timestamps jittered by up to 1 ms either way, written with the recorder's flags."""
    source = folder / "source.mp4"
    if not source.exists():
        ffmpeg("-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25:duration=60,noise=alls=12:allf=t",
               "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=60",
               "-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", "50", "-sc_threshold", "0", "-b:v", "4M",
               "-maxrate", "5M", "-bufsize", "4M", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k", "-video_track_timescale",
               "90000", folder / "source.tmp.mp4")
        os.rename(folder / "source.tmp.mp4", source)
    if not (folder / "done").exists():
        (folder / "loop.txt").write_text("ffconcat version 1.0\n" + "file source.mp4\n" * SEGMENTS)
        ffmpeg("-f", "concat", "-i", folder / "loop.txt", "-map", "0:v", "-map", "0:a", "-c", "copy", "-bsf:v",
               "setts=ts=TS+round((random(0)-0.5)*180)", "-f", "segment", "-segment_time", "60",
               "-segment_format", "mp4", "-segment_format_options", RECORD_OPTIONS, folder / f"{RUN}-%06d.mp4")
        (folder / "done").touch()
    return sorted(folder.glob(f"{RUN}-*.mp4"))[:SEGMENTS]


def cpu_of(command):
    """User and system seconds of one run of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def bench_index(build, table, segments, scratch):
    segment = segments[1]
    runs = {"ffprobe": [], "index": []}
    for _ in range(5):
        runs["ffprobe"].append(cpu_of(["ffprobe", "-v", "error", "-show_format", "-show_streams", segment]))
        done = subprocess.run([build / "bin/indexbench", segment, scratch, "200"], check=True, capture_output=True)
        runs["index"].append(json.loads(done.stdout))
    figures = {key: statistics.median(run[key] for run in runs["index"]) for key in runs["index"][0]}
    ours = figures["cpu_us"] / 1e6
    ffprobe = statistics.median(runs["ffprobe"])
    table.row("ffprobe -show_format -show_streams of one segment, CPU", ffprobe * 1e3, "ms")
    table.row("parse + seal + insert of the segment, CPU without syncs", ours * 1e3, "ms")
    table.row("  of it parse", figures["parse_us"] / 1e3, "ms")
    table.row("  of it seal (moov built and written)", figures["seal_us"] / 1e3, "ms")
    table.row("  of it insert (frames and row)", figures["insert_us"] / 1e3, "ms")
    table.row("ffprobe / ours", ffprobe / ours, "x", ">= 500 x", ffprobe / ours >= 500)
    table.row("packed table, video", figures["video_bytes_per_frame"], "bytes/frame", "<= 2.6",
              figures["video_bytes_per_frame"] <= 2.6)
    table.row("packed table, audio", figures["audio_bytes_per_frame"], "bytes/frame", "<= 1.1",
              figures["audio_bytes_per_frame"] <= 1.1)


def bench_many(build, table, segments, scratch, full):
    """Many cameras at real rate, a backlog, and the archive of that indexed anew."""
    import flow
    data, real = scratch / "flow", scratch / "real"
    data.mkdir()
    real.mkdir()
    minutes, down_s, files = (10, 120, 10000) if full else (1, 30, 1000)
    config = flow.bench_flow(build, table, segments, data, 500, minutes, down_s)
    index_archive(build, segments, real)
    sealed = sorted((real / "video").rglob("*.mp4"))
    probes = [cpu_of(["ffprobe", "-v", "error", "-show_format", "-show_streams", sealed[i % len(sealed)]])
              for i in range(50 if full else 10)]
    flow.bench_reindex(build, table, data, config, files, statistics.median(probes))


def bench_catalog(build, table, scratch, full):
    """A generated catalog: 30 days of 60 s segments of 50 streams, in full of 500; and a year of one."""
    streams = 500 if full else 50
    done = subprocess.run([build / "bin/catalogbench", scratch, str(streams), "30"], check=True, capture_output=True)
    figures = json.loads(done.stdout)
    table.row(f"rows ({streams} streams, 30 days of 60 s segments)", figures["rows"] / 1e6, "million")
    table.row("size of a row, all of catalog.db", figures["bytes_per_row"], "bytes", "<= 80", figures["bytes_per_row"] <= 80)
    table.row("a row added with its sums, hours, outages", figures["add_us"] / 1e3, "ms")
    for name, key in (("segments of a day of one stream", "day_listing_ms"),
                      ("timeline of a year of one stream, 500 buckets", "year_of_one_ms"),
                      ("calendar of that year, 365 days cut inside of hours", "calendar_ms"),
                      ("the first 1000 gaps of that year", "gaps_of_year_ms"),
                      (f"timeline of a day of all {streams} streams, by hours", "day_of_all_ms"),
                      ("storage figures, totals and rates of all streams", "storage_ms"),
                      ("a segment by its identity", "identity_ms"),
                      ("the 500 oldest segments of a volume", "oldest_ms")):
        table.row(f"{name}, warm", figures[key], "ms", "< 20 ms", figures[key] < 20)
    bench_timeline(build, table, scratch, streams)


def start_webui(build, data, streams, log):
    """The web interface over a catalog, without a supervisor: a process and the file with its address."""
    runtime = data / "run"
    runtime.mkdir(exist_ok=True)
    (runtime / "webui.json").write_text(json.dumps({
        "version": 1, "node": "bench", "database": str(data), "cache": str(data / "cache"), "listen": "127.0.0.1:0",
        "volumes": [{"path": str(data / "video")}], "streams": streams}))
    return runtime / "webui.address", Process(log, build / "bin/keepframe-webui", "run", "--runtime", runtime)


def bench_timeline(build, table, scratch, streams):
    """A year's timeline against a day's over HTTP, from the request to the last byte, on one connection."""
    camera = f"camera-{streams:04d}"  # the one that has a year of footage
    address_file, process = start_webui(build, scratch, [], scratch / "webui.log")
    with process:
        wait_for("the start of webui", lambda: address_file.exists() and address_file.read_text().strip())
        connection = http.client.HTTPConnection(address_file.read_text().strip())
        times = {"year": [], "day": []}
        for _ in range(52):
            for name, start, end in (("year", "2026-01-01", "2027-01-01"), ("day", "2026-04-11", "2026-04-12")):
                since = time.perf_counter()
                connection.request("GET", f"/api/v1/cameras/{camera}/main/timeline?start={start}T00:00:00Z&end={end}T00:00:00Z")
                answer = connection.getresponse()
                body = answer.read()
                times[name].append((time.perf_counter() - since) * 1e3)
                if answer.status != 200 or len(json.loads(body)["buckets"]) != 500:
                    sys.exit(f"bench: no timeline: {body[:200]!r}")
        connection.close()
    year, day = (statistics.median(times[name][2:]) for name in ("year", "day"))
    table.row("timeline of a year of one stream over HTTP, warm", year, "ms", "< 20 ms", year < 20)
    table.row("timeline of a day of one stream over HTTP, warm", day, "ms")
    table.row("timeline of a year / of a day, over HTTP", year / day, "x", "<= 3 x", year / day <= 3)


def wait_for(what, predicate, seconds=60):
    deadline = time.monotonic() + seconds
    while not (value := predicate()):
        if time.monotonic() > deadline:
            sys.exit(f"bench: {what} did not happen within {seconds} s")
        time.sleep(0.05)
    return value


class Process:
    """A program of ours in the background, ended with the block."""

    def __init__(self, log, *command):
        self.log = open(log, "ab")
        self.child = subprocess.Popen(list(map(str, command)), stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self.child

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait()
        self.log.close()


def index_archive(build, segments, data):
    """Lets the real indexer take the segments in, as the cache of a finished run."""
    cache = data / "cache/bench/main"
    cache.mkdir(parents=True)
    for path in segments:
        shutil.copy(path, cache / path.name)
    (cache / f"{RUN}.json").write_text(json.dumps({
        "version": 1, "camera": "bench", "stream": "main", "run": RUN, "node": "bench", "start_us": RUN * 1000,
        "end_us": RUN * 1000 + len(segments) * 60_000_000, "reason": "stopped", "detail": None}))
    config = data / "keepframe.yaml"
    config.write_text("cameras: {bench: {url: 'rtsp://127.0.0.1:9/none'}}\n")
    catalog = data / "catalog.db"

    def rows():
        if not catalog.exists():
            return []
        with sqlite3.connect(f"file:{catalog}?mode=ro", uri=True) as database:
            try:
                return database.execute("SELECT start_us, end_us FROM footage ORDER BY start_us").fetchall()
            except sqlite3.OperationalError:
                return []

    with Process(data / "indexer.log", build / "bin/keepframe-indexer", "run", "-c", config, "--data", data):
        wait_for("indexing", lambda: len(rows()) == len(segments))
    return rows()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--full", action="store_true", help="catalog: 21.6 million rows instead of 2.2; index: ten minutes of 500 cameras instead of one")
    parser.add_argument("what", choices=("index", "playback", "catalog"))
    options = parser.parse_args()
    options.build = options.build.resolve()
    table = Table(options.json)
    content = options.build / "bench"
    content.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="keepframe-bench-", dir=options.build) as name:
        scratch = pathlib.Path(name)
        if options.what == "catalog":
            bench_catalog(options.build, table, scratch, options.full)
            return
        segments = make_segments(content)
        if options.what == "playback":
            import playback
            playback.bench_playback(options.build, table, segments, content, scratch)
        else:
            bench_index(options.build, table, segments, scratch)
            bench_many(options.build, table, segments, scratch, options.full)


if __name__ == "__main__":
    main()
