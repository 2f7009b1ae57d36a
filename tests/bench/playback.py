"""What playback costs, beside nginx on one file of the same bytes and ffmpeg on the same segments."""
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import subprocess
import time
import urllib.request

from bench import RECORD_OPTIONS, Process, ffmpeg, start_webui, wait_for

DAYS = 30
DAY = 86400
START = 1767225600  # 2026-01-01T00:00:00Z
FRAMES = 1504  # of a minute: as many as end together with a whole number of AAC frames
ROUNDS = 5


def start_nginx(folder, port):
    (folder / "www").mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(f"""
{"user root;" if os.geteuid() == 0 else ""} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{ sendfile on; tcp_nopush on; access_log off; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
  fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {folder}/www;
    location /clip.mp4 {{ mp4; mp4_max_buffer_size 50m; }} }} }}
""")
    return Process(folder / "nginx.log", "nginx", "-e", folder / "nginx-error.log", "-c", folder / "nginx.conf")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def fill(build, segment, data, count, names):
    """An archive of one segment, so many times; its length in microseconds."""
    done = subprocess.run([build / "bin/archivebench", segment, data, str(START * 1000), str(count), str(names)],
                          check=True, capture_output=True)
    return json.loads(done.stdout)["segment_us"]


# --- Throughput, and what it costs

def machine_busy_seconds():
    """Busy CPU seconds of the whole machine since boot."""
    fields = list(map(int, pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def own_seconds(pid):
    """CPU seconds of a server, its children included, and of all clients so far."""
    pids = [pid, *map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    ticks = sum(sum(map(int, pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
                for one in pids)
    clients = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ticks / os.sysconf("SC_CLK_TCK") + clients.ru_utime + clients.ru_stime


def load(build, address, path, clients, discard=False):
    host, port = address.rsplit(":", 1)
    done = subprocess.run([build / "bin/httpload", *(["--discard"] if discard else []), host, port, path, str(clients)],
                          check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def load_round(build, server, clients, discard):
    """(MB/s, CPU seconds of the whole machine per GB, of server and clients alone per GB)."""
    address, path, pid = server
    machine, own = machine_busy_seconds(), own_seconds(pid)
    loads = [load(build, address, path, clients, discard) for _ in range(max(1, 8 // clients))]
    size = sum(one["bytes"] for one in loads) / 1e9
    return (size / sum(one["seconds"] for one in loads) * 1e3, (machine_busy_seconds() - machine) / size,
            (own_seconds(pid) - own) / size)


def compare(build, table, ours, theirs, clients, discard):
    """Rounds of both servers in turns."""
    rounds = [(load_round(build, ours, clients, discard), load_round(build, theirs, clients, discard))
              for _ in range(ROUNDS)]
    name = f"{clients} {'discarding' if discard else 'reading'} client(s)"
    for at, server in enumerate(("Keepframe", "nginx")):
        table.row(f"{name}, {server}", statistics.median(one[at][0] for one in rounds), "MB/s")
    rate, machine, own = (statistics.median(a[at] / b[at] for a, b in rounds) for at in range(3))
    table.row("  throughput, Keepframe / nginx", rate, "x", ">= 1.0 x", rate >= 1.0)
    table.row("  CPU per GB of the whole machine, Keepframe / nginx", machine, "x", None if discard else "<= 1.0 x",
              None if discard else machine <= 1.0)
    table.row("  CPU per GB of server and clients, Keepframe / nginx", own, "x")


def export(address, path, target):
    """Seconds that a download into a file takes."""
    since = time.perf_counter()
    with urllib.request.urlopen(f"http://{address}{path}") as answer, open(target, "wb") as file:
        shutil.copyfileobj(answer, file, 1 << 20)
    return time.perf_counter() - since


def bench_export(table, address, path, data, scratch):
    """The whole range as a file, made by either."""
    files = sorted((data / "video").rglob("*.mp4"))
    (scratch / "files.txt").write_text("ffconcat version 1.0\n" + "".join(f"file {path}\n" for path in files))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(export(address, path, scratch / "ours.mp4"))
        since = time.perf_counter()
        ffmpeg("-f", "concat", "-safe", "0", "-i", scratch / "files.txt", "-map", "0", "-c", "copy", "-ss", 30, "-t", 600,
               scratch / "theirs.mp4")
        theirs.append(time.perf_counter() - since)
    table.row("whole export into a file, Keepframe", statistics.median(ours) * 1e3, "ms")
    table.row("whole export into a file, ffmpeg -f concat -c copy", statistics.median(theirs) * 1e3, "ms")
    ratio = statistics.median(b / a for a, b in zip(ours, theirs))
    table.row("  ffmpeg / Keepframe", ratio, "x", ">= 10 x", ratio >= 10)


def bench_throughput(build, table, segments, scratch):
    data = scratch / "data"
    data.mkdir()
    fill(build, segments[1], data, len(segments), 1)
    address_file, webui = start_webui(
        build, data, [{"camera": "days", "stream": "main", "segment_us": 60_000_000, "enabled": True}], data / "webui.log")
    path = f"/video/days/main.mp4?start={START + 30}.123&duration="
    port = free_port()
    with webui as child, start_nginx(scratch, port) as nginx:
        address = wait_for("the start of webui", lambda: address_file.exists() and address_file.read_text().strip())
        wait_for("the start of nginx", lambda: (scratch / "nginx.pid").exists())
        for seconds, crowds in ((600, (1, 8)), (150, (64,))):
            export(address, f"{path}{seconds}", scratch / f"www/{seconds}.mp4")
            table.row(f"a range of {seconds} s", os.path.getsize(scratch / f"www/{seconds}.mp4") / 1e6, "MB")
            ours, theirs = (address, f"{path}{seconds}", child.pid), (f"127.0.0.1:{port}", f"/{seconds}.mp4", nginx.pid)
            for clients in crowds:
                for discard in (False, True):
                    compare(build, table, ours, theirs, clients, discard)
        bench_export(table, address, f"{path}600", data, scratch)


# --- A month of footage

def make_minute(folder):
    """A minute of small pictures and sound that can follow itself: both last equally long, with the frame that an AAC
    encoder puts before the sound."""
    path = folder / "minute.mp4"
    if not path.exists():
        length = FRAMES / 25
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=320x180:rate=25:duration={length}", "-f", "lavfi", "-i",
               f"sine=frequency=440:sample_rate=48000:duration={length - 1024 / 48000}", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0",
               "-g", "50", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-b:v", "200k", "-c:a", "aac", "-b:a", "32k",
               "-video_track_timescale", "90000", folder / "minute.tmp.mp4")
        ffmpeg("-i", folder / "minute.tmp.mp4", "-map", "0:v", "-map", "0:a", "-c", "copy", "-bsf:v",
               f"setts=ts=TS+if(gt(N\\,0)*lt(N\\,{FRAMES - 1})\\,round((random(0)-0.5)*180))", "-f", "segment",
               "-segment_time", "3600", "-segment_format", "mp4", "-segment_format_options", RECORD_OPTIONS,
               folder / "minute-%d.mp4")
        os.rename(folder / "minute-0.mp4", path)
    return path


def first_byte_ms(address, path):
    """From the connection to the first byte of the answer, and what the answer is."""
    host, port = address.rsplit(":", 1)
    since = time.perf_counter()
    with socket.create_connection((host, int(port)), timeout=60) as peer:
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        head = peer.recv(4096)
        taken = (time.perf_counter() - since) * 1e3
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"bench: {path}: {head[:500]!r}")
    return taken


def bench_first_byte(table, address, clip):
    """Of ranges that were not asked for before, each beginning a second later; and of a clip of
    half an hour by nginx's module, each beginning a second later, too."""
    for name, length, target in (("1 h", 3600, 2), ("24 h", DAY, 15), ("30 d", (DAYS - 1) * DAY, 300)):
        ours, again, theirs = [], [], []
        for i in range(-1, ROUNDS if length > DAY else 4 * ROUNDS + 1):
            path = f"/video/days/main.mp4?start={START + 3600 + i}.123&duration={length}"
            ours.append(first_byte_ms(address, path))
            again.append(first_byte_ms(address, path))
            theirs.append(first_byte_ms(clip, f"/clip.mp4?start={600 + i}.123&end={2400 + i}.123"))
        value, again, theirs = (statistics.median(list[1:]) for list in (ours, again, theirs))
        table.row(f"first byte of {name}, Keepframe, warm", value, "ms", f"<= {target} ms", value <= target)
        table.row("  the same range again", again, "ms")
        table.row("  nginx's mp4 module, half of a file of 1 h", theirs, "ms")


def playlist_ms(address, path):
    since = time.perf_counter()
    with urllib.request.urlopen(f"http://{address}{path}") as answer:
        text = answer.read()
    if text.count(b"#EXTINF") < 10000:
        raise SystemExit("bench: not the playlist of a day")
    return (time.perf_counter() - since) * 1e3


def bench_playlist(table, address):
    paths = [f"/hls/days/main/vod.m3u8?start={START + day * DAY}.5&end={START + (day + 1) * DAY}.5" for day in range(1, 7)]
    first = [playlist_ms(address, path) for path in paths]
    second = [playlist_ms(address, path) for path in paths]
    for name, times in (("first", first[1:]), ("second", second[1:])):
        value = statistics.median(times)
        table.row(f"HLS playlist of 24 h, {name} request", value, "ms", "< 50 ms", value < 50)


def bench_memory(build, table, address, pid):
    """The most that the process had during a download of 24 h, above what it had before."""
    proc = pathlib.Path(f"/proc/{pid}")

    def mebibytes(key):
        return int(re.search(rf"^{key}:\s+(\d+)", (proc / "status").read_text(), re.M)[1]) / 1024
    first_byte_ms(address, f"/video/days/main.mp4?start={START + 60}&duration=60")
    idle = mebibytes("VmRSS")
    (proc / "clear_refs").write_text("5")  # the peak counts from here
    done = load(build, address, f"/video/days/main.mp4?start={START + 3600}.123&duration={DAY}", 1)
    grown = mebibytes("VmHWM") - idle
    table.row("a download of 24 h", done["bytes"] / 1e6, "MB")
    table.row("  memory above idle, at most", grown, "MiB", "<= 32 MiB", grown <= 32)


def bench_days(build, table, content, scratch):
    data = scratch / "days"
    data.mkdir()
    minute = make_minute(content)
    length = fill(build, minute, data, DAYS * 1440, 30000)
    clip = scratch / "clip"
    (clip / "www").mkdir(parents=True)
    (clip / "hour.txt").write_text("ffconcat version 1.0\n" + f"file {minute}\n" * (3600_000_000 // length + 1))
    ffmpeg("-f", "concat", "-safe", "0", "-i", clip / "hour.txt", "-map", "0", "-c", "copy", "-movflags", "+faststart",
           clip / "www/clip.mp4")
    address_file, webui = start_webui(
        build, data, [{"camera": "days", "stream": "main", "segment_us": length, "enabled": True}], data / "webui.log")
    port = free_port()
    with webui as child, start_nginx(clip, port):
        address = wait_for("the start of webui", lambda: address_file.exists() and address_file.read_text().strip())
        wait_for("the start of nginx", lambda: (clip / "nginx.pid").exists())
        bench_memory(build, table, address, child.pid)
        bench_first_byte(table, address, f"127.0.0.1:{port}")
        bench_playlist(table, address)


def bench_playback(build, table, segments, content, scratch):
    bench_days(build, table, content, scratch)
    bench_throughput(build, table, segments, scratch)
