"""SIGUSR2: another program takes over the very process, with its recorders and all that is known."""

import os
import shutil
import signal

import pytest

import media
from camera import Mount
from procs import alive, open_files, read_proc

PROGRAMS = ("keepframe", "keepframe-indexer", "keepframe-webui")


def own_programs(lab, keepframe):
    """Copies of the three programs, which a test may replace as an upgrade does. Returns the path of
    the supervisor's."""
    folder = lab.folder / "installed"
    folder.mkdir(exist_ok=True)
    for name in PROGRAMS:
        shutil.copy(lab.build.program(name), folder / name)
    keepframe.program = str(folder / "keepframe")
    return folder / "keepframe"


def replace(path, content, mode=0o755):
    """As a package manager does it: another file takes the name."""
    new = path.with_name(".new")
    if isinstance(content, bytes):
        new.write_bytes(content)
    else:
        shutil.copy(content, new)
    new.chmod(mode)
    new.rename(path)


class Upgrades:
    """What `status` says of them."""

    def __init__(self, keepframe):
        self.keepframe = keepframe
        self.pid = keepframe.process.pid
        self.start = None

    def status(self):
        return self.keepframe.ask("status")["result"]

    def stream(self, camera):
        return next(row for row in self.status()["streams"] if row["camera"] == camera)

    def ask(self, key):
        """Sends the signal and waits until one more counts as `key`. Returns the status."""
        status = self.status()
        before, self.start = status["upgrade"][key], status["start"]
        os.kill(self.pid, signal.SIGUSR2)
        return self.keepframe.wait_for(f"one more upgrade counts as {key}", lambda: self.counted(
            key, before + 1))

    def counted(self, key, number):
        try:
            status = self.status()
        except (OSError, ValueError, KeyError):
            return None
        return status if status["upgrade"][key] == number else None


class Fakes:
    """A Keepframe with fake recorders (tests/tools/fakeffmpeg), some of whose cameras refuse."""

    def __init__(self, lab, *names, env=None, **streams):
        self.control = lab.folder / "control"
        self.control.mkdir()
        self.keepframe = lab.keepframe("upgraded")
        self.path = own_programs(lab, self.keepframe)
        self.cameras = {name: {"url": "rtsp://127.0.0.1:9/x"} for name in names}
        for name, keys in streams.items():
            self.cameras[name].update(keys)
        self.sections = {"recording": {"segment": "60s", "timeout": "1s"},
                         "ffmpeg": {"path": lab.build.tool("fakeffmpeg")}}
        self.configure()
        self.env = lab.env(FAKEFFMPEG_CONTROL=str(self.control), **(env or {}))

    def configure(self, **sections):
        self.keepframe.configure(self.cameras, **{**self.sections, **sections})

    def strike(self, name, fault):
        (self.control / f"{name}-main").write_text(fault)

    def start(self, *recording):
        self.keepframe.start(env=self.env)
        upgrades = Upgrades(self.keepframe)
        for name in recording:
            self.keepframe.wait_for(f"{name} is recorded", lambda name=name: self.records(
                upgrades, name))
        return upgrades

    def records(self, upgrades, name):
        try:
            row = upgrades.stream(name)
        except (OSError, ValueError, KeyError):
            return False
        return row["state"] == "recording" and "file" in row


def test_no_frame_is_lost_over_several_upgrades(lab, build):
    mount = Mount("yard")
    camera = lab.camera(mount)
    keepframe = lab.keepframe()
    own_programs(lab, keepframe)
    keepframe.configure({"yard": {"url": camera.url("yard")}},
                        recording={"segment": "2s", "timeout": "5s"}).start().wait_ready()
    keepframe.wait_open("yard")
    recorder, upgrades = keepframe.recorder_pid("yard"), Upgrades(keepframe)
    programs = {name: keepframe.wait_program(name) for name in PROGRAMS[1:]}
    row = upgrades.stream("yard")
    for number in range(1, 4):
        before, status = row, upgrades.ask("count")
        row = upgrades.stream("yard")
        assert status["upgrade"]["count"] == number and status["upgrade"]["failed"] == 0
        assert status["pid"] == upgrades.pid and status["start"] == upgrades.start
        assert (row["pid"], row["restarts"]) == (recorder, 0)
        assert all(row[key] >= before[key] for key in ("bytes", "frames", "run_frames"))
        for name, pid in programs.items():
            programs[name] = keepframe.wait_program(name, other_than=pid)
        keepframe.wait_ready()
    last = keepframe.wait_open("yard", longer_than_us=500_000).number
    rows = keepframe.wait_for("all that was recorded meanwhile is sealed", lambda: [
        row for rows in [keepframe.sealed("yard")] for row in rows
        if max(row.number for row in rows) >= last])
    assert [row.number for row in rows] == list(range(len(rows)))
    assert len({row.run for row in rows}) == 1
    kept = [picture for row in rows
            for picture in media.picture_hashes(keepframe.segment_file(row), mount.codec)]
    sent = mount.sent_pictures(build)
    begin = sent.index(kept[0])
    assert kept == (sent * (2 + len(kept) // len(sent)))[begin:begin + len(kept)]


def test_what_is_known_lives_on(lab):
    fakes = Fakes(lab, "steady", "dead", "off")
    fakes.strike("dead", "refuse 1000")
    upgrades = fakes.start("steady", "off")
    keepframe = fakes.keepframe
    keepframe.ask("disable", camera="off")
    keepframe.wait_for("dead has failed again and again",
                       lambda: upgrades.stream("dead")["failures"] >= 2)
    before = {name: upgrades.stream(name) for name in ("steady", "dead", "off")}
    after = {row["camera"]: row for row in upgrades.ask("count")["streams"]}
    for name, row in before.items():
        for key in ("restarts", "frames", "bytes", "failures", "cpu_seconds"):
            assert after[name][key] >= row[key], (name, key)
        assert after[name]["enabled"] == row["enabled"]
    assert after["steady"]["pid"] == before["steady"]["pid"]
    assert after["steady"]["since"] == before["steady"]["since"]
    assert after["off"]["state"] == "off" and after["off"]["disabled_by_command"]
    assert after["dead"]["last_reason"] == "refused"
    assert after["dead"]["gap_seconds_by_reason"]["refused"] >= \
        before["dead"]["gap_seconds_by_reason"]["refused"]
    assert keepframe.ask("enable", camera="off")["ok"]
    keepframe.wait_recorder("off")
    keepframe.wait_for("dead goes on failing",
                       lambda: upgrades.stream("dead")["failures"] > after["dead"]["failures"])


BROKEN = {
    "exits": (b"#!/bin/sh\nexit 1\n", 0o755, "ended with 1"),
    "says nothing": (b"#!/bin/sh\nexit 0\n", 0o755, "does not say that it can take over"),
    "is not executable": (b"#!/bin/sh\nexit 0\n", 0o644, "Permission denied"),
    "is garbage": (b"\x7fELF garbage", 0o755, "Exec format error"),
    "is of another format": (
        b"#!/bin/sh\necho 'no the state has the format 1, and this program knows 2 alone' >&4\n"
        b"exit 1\n", 0o755, "knows 2 alone"),
    "hangs": (b"#!/bin/sh\nexec sleep 1000\n", 0o755, "did not say within"),
    "knows no such mode": (
        b"#!/bin/sh\necho \"keepframe: unknown command '$1'\" >&2\nexit 64\n", 0o755,
        "unknown command '--check-handover'"),
}


def test_a_broken_program_changes_nothing_and_the_cause_is_told(lab):
    fakes = Fakes(lab, "steady", env={"KEEPFRAME_TEST_SILENCE_MS": "3000"})
    upgrades = fakes.start("steady")
    before = upgrades.stream("steady")
    for number, (name, (content, mode, words)) in enumerate(BROKEN.items(), 1):
        replace(fakes.path, content, mode)
        status = upgrades.ask("failed")
        assert words in status["upgrade"]["error"], name
        assert status["upgrade"] == {**status["upgrade"], "count": 0, "failed": number}
        assert fakes.keepframe.log_lines("error:", "stays at work", words), name
    fakes.path.unlink()
    assert "No such file" in upgrades.ask("failed")["upgrade"]["error"]
    assert "changed nothing: " in (shown := fakes.keepframe.command("status").stdout)
    assert "No such file" in shown
    row = upgrades.stream("steady")
    assert (row["pid"], row["run"], row["restarts"]) == (before["pid"], before["run"], 0)
    replace(fakes.path, lab.build.program("keepframe"))
    assert upgrades.ask("count")["upgrade"]["error"] is None


def test_a_configuration_that_can_not_be_read_keeps_the_old_program(lab):
    fakes = Fakes(lab, "steady", "changed")
    upgrades = fakes.start("steady", "changed")
    before = {name: upgrades.stream(name)["pid"] for name in ("steady", "changed")}
    good = fakes.keepframe.config.read_text()
    fakes.keepframe.write_config(good.replace("cameras:", "cameraz:"))
    assert "cameraz" in upgrades.ask("failed")["upgrade"]["error"]
    fakes.cameras["changed"]["timeout"] = "3s"
    fakes.cameras["comes"] = {"url": "rtsp://127.0.0.1:9/x"}
    fakes.configure()
    upgrades.ask("count")
    fakes.keepframe.wait_recorder("changed", other_than=before["changed"])
    fakes.keepframe.wait_recorder("comes")
    assert upgrades.stream("steady")["pid"] == before["steady"]
    assert upgrades.stream("changed")["restarts_by_reason"] == {"reload": 1}


# A program that kills a recorder and then becomes the real one: in the moment between the exec and
# the start of the program that takes over, when nobody listens.
KILLER = """#!/bin/sh
case "$1" in
run) kill -9 {pid} ;;
esac
exec {real} "$@"
"""


def test_an_exit_in_the_very_moment_is_noticed(lab):
    fakes = Fakes(lab, "killed", "steady")
    real = fakes.path.with_name("keepframe-real")
    shutil.copy(fakes.path, real)
    upgrades = fakes.start("killed", "steady")
    pid = upgrades.stream("killed")["pid"]
    replace(fakes.path, KILLER.format(pid=pid, real=real).encode())
    upgrades.ask("count")
    fakes.keepframe.wait_recorder("killed", other_than=pid)
    assert upgrades.stream("killed")["restarts_by_reason"] == {"killed": 1}
    assert fakes.keepframe.log_lines("killed/main", "signal 9")
    assert upgrades.stream("steady")["restarts"] == 0
    assert not [proc for proc in (read_proc(pid),) if proc and proc.ppid == upgrades.pid]


def test_a_hook_that_runs_is_heard_to_its_end(lab):
    words = lab.folder / "hook.sh"
    gate = lab.folder / "gate"
    os.mkfifo(gate)
    words.write_text(f"#!/bin/sh\nread line < {gate}\necho last words >&2\nexit 7\n")
    words.chmod(0o755)
    hook = {"command": [str(words)], "timeout": "60s", "hold_off": "0s"}
    fakes = Fakes(lab, "steady", "dead", dead={"on_stream_down": hook})
    fakes.strike("dead", "refuse 1000")
    upgrades = fakes.start("steady")
    fakes.keepframe.wait_for("the hook runs", lambda: upgrades.status()["hooks"]["running"] == 1)
    assert upgrades.ask("count")["hooks"]["running"] == 1
    gate.write_text("go on\n")
    fakes.keepframe.wait_for("its failure is counted", lambda: upgrades.status()["hooks"][
        "by_event"]["stream_down"]["failed"] == 1)
    assert fakes.keepframe.log_lines("dead/main", "ended with 7: last words")


def test_twenty_upgrades_leak_nothing_and_the_recorders_die_with_it(lab):
    fakes = Fakes(lab, "one", "two", "three")
    upgrades = fakes.start("one", "two", "three")
    upgrades.ask("count")
    keepframe = fakes.keepframe
    before = kinds(upgrades, keepframe)
    for _ in range(20):
        upgrades.ask("count")
    assert kinds(upgrades, keepframe) == before
    pids = [upgrades.stream(name)["pid"] for name in ("one", "two", "three")]
    limits = [soft_files(pid) for pid in (os.getpid(), *pids)]
    assert len(set(limits)) == 1, "the children have lost the limit that we were started with"
    keepframe.kill()
    keepframe.wait_for("the recorders have died too", lambda: not any(map(alive, pids)))


def soft_files(pid):
    line = next(line for line in open(f"/proc/{pid}/limits") if line.startswith("Max open files"))
    return line.split()[3]


def kinds(upgrades, keepframe):
    """The supervisor's descriptors by kind, once nobody is connected and both programs run."""
    for name in PROGRAMS[1:]:
        keepframe.wait_program(name)
    look = [None]

    def steady():
        found = sorted(target.split(":")[0] for target in open_files(upgrades.pid))
        is_same, look[0] = look[0] == found, found
        return is_same
    keepframe.wait_for("its descriptors are steady", steady)
    return look[0]
