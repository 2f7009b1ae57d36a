"""Fifty recorders that misbehave at random, and each misbehaviour alone. The recorders are
tests/tools/fakeffmpeg, which does to the supervisor what an ffmpeg can do at its worst."""

import os
import re
import time

from procs import all_procs, open_files

STREAMS = 50
FAULTS = ["crash", "refuse", "refuse 3", "stall", "deaf", "closed", "flood", "fork", "daemon"]
ALIVE = {"recording", "connecting", "waiting", "ending"}


class Storm:
    """A Keepframe with fake recorders, and the folder through which they are told their faults."""

    def __init__(self, lab, names):
        self.names = names
        self.control = lab.folder / "control"
        self.control.mkdir()
        self.keepframe = lab.keepframe("storm")
        self.keepframe.configure(
            {name: {"url": "rtsp://127.0.0.1:9/x"} for name in names},
            recording={"segment": "60s", "timeout": "1s"},
            ffmpeg={"path": lab.build.tool("fakeffmpeg")})
        env = lab.env(FAKEFFMPEG_CONTROL=str(self.control))
        # What is freed shall be freed: the supervisor's memory is measured.
        env["ASAN_OPTIONS"] += ":quarantine_size_mb=1:malloc_context_size=5"
        self.keepframe.start(env=env)
        self.pid = self.keepframe.process.pid

    def strike(self, name, fault):
        whole = self.control / f"{name}-main"
        part = self.control / f".{name}"
        part.write_text(fault)
        part.rename(whole)

    def streams(self):
        rows = self.keepframe.ask("status")["result"]["streams"]
        return {row["camera"]: row for row in rows}

    def wait_all_record(self):
        """Until the supervisor has seen the file of every stream."""
        self.keepframe.wait_for("all record", lambda: all(
            row["state"] == "recording" and "file" in row
            for row in self.streams().values()), timeout=120)

    def wait_for(self, what, probe):
        return self.keepframe.wait_for(what, probe, timeout=120)

    # --- What the supervisor takes

    def cpu_s(self):
        """Its own processor time, without its children's."""
        fields = open(f"/proc/{self.pid}/stat").read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """What is its own alone, in bytes."""
        text = open(f"/proc/{self.pid}/smaps_rollup").read()
        return sum(int(size) * 1024 for size in
                   re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", text, re.M))

    def descriptors(self):
        """Its descriptors by kind; a look at /proc has none of its own."""
        return sorted(re.sub(r"\d+", "N", target) for target in open_files(self.pid)
                      if not target.endswith(".json"))

    def zombies(self):
        return [proc for proc in all_procs() if proc.ppid == self.pid and proc.dead]

    def recorders(self):
        return [proc for proc in self.keepframe.children() if proc.program == "fakeffmpeg"]


def test_each_misbehaviour_is_told_by_its_reason_and_mended(lab):
    reasons = {"crash": "killed", "refuse": "refused", "refuse 2": "refused", "stall": "stalled",
               "deaf": "stalled", "closed": "stalled", "fork": "closed", "daemon": "closed"}
    names = {fault.replace(" ", "-"): fault for fault in [*reasons, "flood"]}
    storm = Storm(lab, [*names, "well"])
    storm.wait_all_record()
    before = storm.streams()
    for name, fault in names.items():
        storm.strike(name, fault)
    for name, fault in names.items():
        if fault == "flood":
            continue
        count = int((fault.split() + ["1"])[1])
        storm.wait_for(f"{fault} has ended {count} times", lambda: storm.streams()[name][
            "restarts_by_reason"] == {reasons[fault]: count})
    storm.wait_for("a flood is left out", lambda: any(
        "of a flood left out" in line["text"] for line in storm.keepframe.ask(
            "status", camera="flood", stream="main")["result"]["log"]))
    storm.wait_all_record()
    after = storm.streams()
    for name in ("well", "flood"):
        assert after[name]["pid"] == before[name]["pid"], f"{name}: its recorder was touched"
        assert after[name]["restarts"] == 0
    assert after["refuse"]["last_words"].endswith("Connection refused")
    assert all(row["cpu_seconds"] >= 0 for row in after.values())
    assert len(storm.recorders()) == len(storm.names)
    storm.wait_for("no zombie is left", lambda: not storm.zombies())
    delay = storm.keepframe.ask("status")["result"]["loop_delay"]
    assert sum(delay["counts"]) == delay["count"] > 0 and delay["max"] < 60


def faults_at_random(storm, chance, duration_s):
    """Strikes somebody five times a second. Returns how often."""
    count, end = 0, time.monotonic() + duration_s
    while time.monotonic() < end:
        storm.strike(chance.choice(storm.names), chance.choice(FAULTS))
        count += 1
        time.sleep(chance.uniform(0.1, 0.3))
    return count


def test_fifty_recorders_under_random_faults(lab, chance, is_long):
    storm = Storm(lab, [f"cam{number:02}" for number in range(STREAMS)])
    storm.wait_all_record()
    if is_long:  # what is allocated once is allocated, the logs of all streams are full
        for name in storm.names:
            storm.strike(name, "flood")
        faults_at_random(storm, chance, 10)
        storm.wait_all_record()
    storm.wait_for("nothing is ending", lambda: len(storm.recorders()) == STREAMS)
    descriptors, memory = storm.descriptors(), storm.memory()
    cpu_s, start = storm.cpu_s(), time.monotonic()
    count = faults_at_random(storm, chance, 120 if is_long else 6)
    load = (storm.cpu_s() - cpu_s) / (time.monotonic() - start)

    streams = storm.streams()
    states = {name: row["state"] for name, row in streams.items()}
    assert set(states.values()) <= ALIVE and len(states) == STREAMS, states
    assert sum(row["restarts"] for row in streams.values()) > 0
    storm.wait_all_record()
    storm.wait_for("no zombie is left", lambda: not storm.zombies())
    storm.wait_for("the recorders of before have gone", lambda: len(storm.recorders()) == STREAMS)
    storm.wait_for("its descriptors are those of before",
                   lambda: storm.descriptors() == descriptors)
    grown = storm.memory() - memory
    print(f"{count} faults, {sum(row['restarts'] for row in storm.streams().values())} restarts, "
          f"supervisor at {load:.2%} of a core, {grown / 1024:+.0f} KiB")
    assert grown < (1 if is_long else 8) * 1024 * 1024
    if is_long:
        assert load < 0.01, f"the supervisor took {load:.2%} of a core"
