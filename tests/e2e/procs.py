"""Processes as /proc shows them: whose they are, and that they end."""

import os
from dataclasses import dataclass
from pathlib import Path

from waiting import wait_for


@dataclass(frozen=True)
class Proc:
    pid: int
    ppid: int
    state: str  # one letter, as in ps(1)
    cmdline: bytes
    environ: bytes
    cwd: str

    @property
    def argv(self):
        return [os.fsdecode(word) for word in self.cmdline.split(b"\0")[:-1]]

    @property
    def program(self):
        return os.path.basename(self.argv[0]) if self.argv else ""

    @property
    def dead(self):
        return self.state in "ZX"


def read_proc(pid):
    """The process, or None when it is gone."""
    folder = Path("/proc") / str(pid)
    try:
        state, ppid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        cmdline = (folder / "cmdline").read_bytes()
    except OSError:
        return None
    try:
        environ = (folder / "environ").read_bytes()
        cwd = os.readlink(folder / "cwd")
    except OSError:  # somebody else's, or a zombie
        environ, cwd = b"", ""
    return Proc(int(pid), int(ppid), state, cmdline, environ, cwd)


def all_procs():
    procs = (read_proc(name) for name in os.listdir("/proc") if name.isdigit())
    return [proc for proc in procs if proc]


def procs_of(folder):
    """Living processes that work in `folder`, or name it in their arguments or environment."""
    needle = os.fsencode(str(folder))
    inside = str(folder) + "/"
    return [
        proc
        for proc in all_procs()
        if not proc.dead
        and proc.pid != os.getpid()
        and (
            needle in proc.cmdline
            or needle in proc.environ
            or proc.cwd == str(folder)
            or proc.cwd.startswith(inside)
        )
    ]


def alive(pid):
    proc = read_proc(pid)
    return proc is not None and not proc.dead


def wait_gone(pid, timeout=20, context=None):
    wait_for(f"process {pid} has ended", lambda: not alive(pid), timeout, context)


def open_files(pid):
    """What the descriptors of a process point at."""
    targets = []
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                targets.append(os.readlink(f"/proc/{pid}/fd/{name}"))
            except OSError:
                continue
    except OSError:
        pass
    return targets


def resident_bytes(pid):
    """Memory that the process holds."""
    return int((Path("/proc") / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid):
    """Processor time that all its threads have had."""
    rest = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")
