"""scripts/bench supervisor: what many streams cost, and whether all come back. Real ffmpegs record
one cheap camera (tests/tools/crowdcam); they are what our own programs are compared with. Only the
reload of a thousand cameras uses recorders that record nothing (tests/tools/fakeffmpeg)."""
import argparse
import contextlib
import os
import pathlib
import random
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from bench import Table, machine_busy_seconds  # noqa: E402
from crowd import Crowd, Crowdcam, make_clip  # noqa: E402
from lab import Build, Lab  # noqa: E402
from procs import all_procs, open_files  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
STEADY_S = 60
STALL_S = 60
PROGRAMS = ("keepframe-indexer", "keepframe-webui")
RECORDING = {"segment": "60s", "timeout": "5s"}
RELOAD_BOUND_S = 0.05


def stat_of(pid):
    """The fields of /proc/PID/stat behind the program's name."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_s(pid):
    """Processor time of a process, its threads together, without its children's."""
    fields = stat_of(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def started_s(pid):
    """When it was started, on the clock of the boot."""
    return int(stat_of(pid)[19]) / TICKS


def pss_mib(pid):
    """Its memory, shared pages by their share."""
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0


class Processes:
    """The processes of a Keepframe: ours by name, and the recorders."""

    def __init__(self, keepframe):
        self.ours = {"supervisor": keepframe.process.pid,
                     **{name.removeprefix("keepframe-"): keepframe.wait_program(name)
                        for name in PROGRAMS}}
        self.recorders = [proc.pid for proc in keepframe.children()
                          if proc.program in ("ffmpeg", "fakeffmpeg")]

    def cpu(self):
        return ({name: cpu_s(pid) for name, pid in self.ours.items()},
                sum(cpu_s(pid) for pid in self.recorders))

    def cpu_over(self, seconds):
        """Processor time in so many seconds: ours by name, and the recorders' together."""
        ours, recorders = self.cpu()
        time.sleep(seconds)
        ours_after, recorders_after = self.cpu()
        return ({name: ours_after[name] - ours[name] for name in ours},
                recorders_after - recorders)


def busiest_rate(moments, span=10):
    """Of starts a second, over the ten seconds with the most of them."""
    return max(sum(1 for one in moments if at <= one < at + span) for at in moments) / span


class Delays:
    """The supervisor's loop turns since the last look, from the histogram in its status."""

    def __init__(self, keepframe):
        self.keepframe = keepframe
        self.before = self._read()

    def _read(self):
        return self.keepframe.ask("status")["result"]["loop_delay"]

    def take(self):
        """(turns, how many of them took longer than 50 ms, the largest one since the start in s)"""
        now, before = self._read(), self.before
        over = sum(count - old for count, old, bound in
                   zip(now["counts"], before["counts"], [0, *now["bounds"]])
                   if bound >= RELOAD_BOUND_S)
        self.before = now
        return now["count"] - before["count"], over, now["max"]


@contextlib.contextmanager
def laboratory(build):
    lab = Lab(build)
    try:
        yield lab
    finally:
        lab.close()


def took(action, *arguments):
    start = time.monotonic()
    action(*arguments)
    return time.monotonic() - start


def row_cost(table, processes):
    """Processor time of ours beside the recorders'. Returns ours / theirs in percent."""
    busy, start = machine_busy_seconds(), time.monotonic()
    ours, theirs = processes.cpu_over(STEADY_S)
    span = time.monotonic() - start
    busy = (machine_busy_seconds() - busy) / span
    for name, seconds in ours.items():
        table.row(f"  {name}, CPU", seconds / span * 100, "% of a core")
    table.row("  all ffmpegs, CPU", theirs / span * 100, "% of a core")
    table.row("  the whole machine meanwhile, others on it too", busy * 100, "% of a core")
    return sum(ours.values()) / theirs * 100


def row_memory(table, processes):
    for name, pid in processes.ours.items():
        table.row(f"  {name}, memory (PSS)", pss_mib(pid), "MiB")
    sizes = [pss_mib(pid) for pid in processes.recorders[::10]]
    table.row("  one ffmpeg, memory (PSS)", statistics.mean(sizes), "MiB")


def row_answers(table, keepframe):
    """How fast the web interface is with so many streams."""
    for path in ("/metrics", "/zabbix/items", "/api/v1/cameras", "/"):
        times = []
        for _ in range(5):
            time.sleep(1.2)  # what it has asked of supervisor and indexer is kept for a second
            times.append(took(lambda: keepframe.get(path).expect(200)))
        table.row(f"  {path}", statistics.median(times) * 1e3, "ms")


def kill_indexer(crowd, patience):
    """Until a new one has filed all that was finished meanwhile, some at least."""
    before = len(crowd.closes.finished)
    crowd.keepframe.kill_program("keepframe-indexer")
    crowd.keepframe.wait_for("a segment is finished", lambda: len(crowd.closes.finished) > before)
    crowd.wait_filed(patience)


def bench_crowd(table, build, content, count):
    """`count` streams: the start, the cost, and what they survive."""
    clip = make_clip(content / "crowd-64x48-1fps.h264", "64x48", 1, 5, 60)
    with laboratory(build) as lab:
        crowd = Crowd(lab, Crowdcam(lab, clip, 1), count, RECORDING)
        keepframe = crowd.keepframe
        patience = 120 + count
        start = time.monotonic()
        keepframe.start(debug=False)
        keepframe.wait_for("its socket", lambda: keepframe.ask("status"))
        crowd.wait_all_record(patience)
        table.row(f"{count} streams, until all record", time.monotonic() - start, "s")
        processes = Processes(keepframe)
        rate = busiest_rate([started_s(pid) for pid in processes.recorders])
        table.row("  ffmpegs started a second, in the busiest ten seconds", rate, "", "<= 10.1",
                  rate <= 10.1)
        delays = Delays(keepframe)
        table.row("  largest loop delay until then", delays.before["max"] * 1e3, "ms")
        ratio = row_cost(table, processes)
        table.row("  ours / ffmpegs', CPU, with one tiny frame a second", ratio, "%")
        row_memory(table, processes)
        turns, over, _ = delays.take()
        table.row("  turns of the loop in the meantime", turns, "")
        table.row("  of them longer than 50 ms", over, "")
        row_answers(table, keepframe)
        supervisor = keepframe.process.pid
        memory, descriptors = pss_mib(supervisor), len(open_files(supervisor))

        struck = random.sample(crowd.names, count // 5)
        pids = crowd.kill_recorders(struck)
        table.row(f"{len(struck)} ffmpegs killed at once, until all are back",
                  took(crowd.wait_back, pids, struck, patience), "s")
        table.row("  largest loop delay until then", delays.take()[2] * 1e3, "ms")
        crowd.camera.stall()
        time.sleep(STALL_S)
        crowd.camera.resume()
        table.row("a camera frozen for 60 s, until all are back",
                  took(crowd.wait_all_record, patience), "s")
        time.sleep(STEADY_S)  # all streams begin a new segment
        table.row("  largest loop delay until then", delays.take()[2] * 1e3, "ms")
        table.row("the indexer killed, until what has been finished since is filed",
                  took(kill_indexer, crowd, patience), "s")
        crowd.wait_all_record(patience)
        crowd.wait_filed(patience)
        without_row, without_file = crowd.lost()
        table.row("finished segments", len(crowd.closes.finished), "")
        table.row("  of them lost: no row, or no file", len({*without_row, *without_file}), "",
                  "0", not without_row and not without_file)
        table.row("largest loop delay of the whole run", delays.take()[2] * 1e3, "ms")
        table.row("supervisor's memory since before the faults", pss_mib(supervisor) - memory, "MiB")
        table.row("its descriptors since before the faults",
                  len(open_files(supervisor)) - descriptors, "")
        zombies = sum(proc.dead and proc.ppid == supervisor for proc in all_procs())
        table.row("zombies", zombies, "", "0", zombies == 0)
        table.row("a clean stop", took(keepframe.stop), "s", "<= 15 s")


def bench_share(table, build, content, count):
    """What we cost beside ffmpegs that record what cameras really send. The footage that the
    indexer forces to disk is written at the kernel's cost otherwise, so it is measured without
    that, too."""
    clip = make_clip(content / "camera-1080p-25fps-4M.h264", "1920x1080", 25, 50, 20,
                     "-vf", "noise=alls=12:allf=t", "-b:v", "4M", "-maxrate", "5M",
                     "-bufsize", "4M")
    with laboratory(build) as lab:
        crowd = Crowd(lab, Crowdcam(lab, clip, 25), count, RECORDING)
        keepframe = crowd.keepframe
        keepframe.start(debug=False)
        keepframe.wait_for("its socket", lambda: keepframe.ask("status"))
        crowd.wait_all_record(120 + count)
        table.row("streams of 1080p, 25 fps, 4 Mbit/s", count, "")
        processes = Processes(keepframe)
        ratio = row_cost(table, processes)
        table.row(f"supervisor + indexer + webui while {count} streams record", ratio,
                  "% of ffmpegs'", "<= 1 %", ratio <= 1)
        row_memory(table, processes)
        keepframe.configure({name: {"url": crowd.camera.url(name)} for name in crowd.names},
                            recording={**RECORDING, "sync": "10m"})
        assert keepframe.ask("reload")["ok"]
        time.sleep(10)  # the last round by the old interval
        ratio = row_cost(table, processes)
        table.row("  without syncs of open recordings", ratio, "% of ffmpegs'")
        crowd.wait_filed()
        lost = set().union(*crowd.lost())
        table.row("  finished segments lost", len(lost), "", "0", not lost)


def bench_reload(table, build, count):
    """One changed camera of many. The recorders are fake ones: only the supervisor is measured."""
    with laboratory(build) as lab:
        keepframe = lab.keepframe("reload")
        cameras = {f"cam{number:04}": {"url": "rtsp://127.0.0.1:9/x"} for number in range(count)}
        sections = {"recording": dict(RECORDING), "ffmpeg": {"path": build.program("fakeffmpeg")}}

        def rows():
            return {row["camera"]: row for row in keepframe.ask("status")["result"]["streams"]}

        def all_record():
            states = rows()
            return states if all(row["state"] == "recording" for row in states.values()) else None

        keepframe.configure(cameras, **sections).start(debug=False)
        keepframe.wait_for("its socket", lambda: keepframe.ask("status"))
        before = keepframe.wait_for("all record", all_record, timeout=300 + count)
        times, untouched = [], []
        for number in range(5):
            name = f"cam{number:04}"
            cameras[name]["segment"] = "30s"
            keepframe.configure(cameras, **sections)
            times.append(took(keepframe.ask, "reload"))
            after = keepframe.wait_for("all record", all_record, timeout=120)
            untouched.append(sum(after[one]["pid"] == before[one]["pid"] for one in cameras))
            before = after
        worst = max(times) * 1e3
        table.row(f"reload of {count} cameras, one changed (fake ffmpegs), median",
                  statistics.median(times) * 1e3, "ms")
        table.row("  the slowest of five, asked to answered", worst, "ms", "<= 50 ms", worst <= 50)
        table.row("  recorders untouched", min(untouched), "", f"{count - 1}",
                  set(untouched) == {count - 1})


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench supervisor")
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--streams", type=int, default=500, help="of the crowd (default: 500)")
    parser.add_argument("--part", choices=("crowd", "share", "reload"), help="this part alone")
    options = parser.parse_args()
    content = options.build / "bench"
    content.mkdir(exist_ok=True)
    table, build = Table(options.json), Build(options.build)
    if options.part in (None, "crowd"):
        bench_crowd(table, build, content, options.streams)
    if options.part in (None, "share"):
        bench_share(table, build, content, min(options.streams, 100))
    if options.part in (None, "reload"):
        bench_reload(table, build, 2 * options.streams)


if __name__ == "__main__":
    main()
