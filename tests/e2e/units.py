"""A systemd unit of conf/systemd, run as its manager would: its command, its user and groups, no capability,
its limit of open files, a socket for its messages."""

import os
import re
import resource
import signal
import socket
import subprocess
from pathlib import Path

from waiting import wait_for

UNITS = Path(__file__).resolve().parents[2] / "conf" / "systemd"
# Numbers stand for the names of sysusers.d/keepframe.conf; nobody else has them.
IDS = {"keepframe": 61801, "keepframe-web": 61802}


def settings(name):
    """The settings of a unit; those that stand several times as a list."""
    found = {}
    for line in (UNITS / f"{name}.service.in").read_text().splitlines():
        match = re.fullmatch(r"(\w+)=(.*)", line)
        if match:
            found.setdefault(match[1], []).append(match[2])
    return found


class Unit:
    """Beside a Keepframe's configuration, whose `runtime` stands for the unit's."""

    def __init__(self, lab, name, runtime, extra=()):
        self.lab = lab
        self.name = name
        self.settings = settings(name)
        self.extra = list(extra)
        self.folder = lab.folder / f"unit-{name}"
        self.folder.mkdir()
        self.log = self.folder / "unit.log"
        self.places = {"%t/keepframe-webui": str(self.folder), "%t/keepframe": str(runtime),
                       "@CMAKE_INSTALL_FULL_BINDIR@": str(lab.folder / "bin")}
        self.uid = IDS[self.one("User")]
        self.gid = IDS[self.one("Group")]
        self.groups = [IDS[group] for group in self.settings.get("SupplementaryGroups", [])]
        os.chown(self.folder, self.uid, self.gid)
        self.messages = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(self.folder / "notify"))
        os.chmod(self.folder / "notify", 0o666)
        self.process = None
        lab.things.append(self)

    def one(self, key):
        (value,) = self.settings[key]
        return value

    def words(self, key):
        text = self.one(key)
        for name, value in self.places.items():
            text = text.replace(name, value)
        return text.split()

    def as_user(self, *words):
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}",
                "--groups=" + ",".join(map(str, self.groups or [self.gid])), "--no-new-privs",
                "--bounding-set=-all", "--inh-caps=-all", *words]

    def may(self, *words):
        """Whether a command succeeds as the unit's user."""
        return subprocess.run(self.as_user(*words), capture_output=True).returncode == 0

    def start(self):
        soft, hard = map(int, self.one("LimitNOFILE").split(":"))
        hard = min(hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        env = self.lab.env(NOTIFY_SOCKET=str(self.folder / "notify"),
                           WATCHDOG_USEC=self.one("WatchdogSec") + "000000")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.as_user(*self.words("ExecStart"), *self.extra), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd="/", env=env, start_new_session=True,
                umask=int(self.one("UMask"), 8),
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
        return self

    def told(self):
        """All messages so far."""
        while True:
            try:
                self.messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.messages

    def wait_told(self, message):
        wait_for(f"{self.name} tells {message}", lambda: message in self.told(),
                 context=self.log_tail)

    def log_tail(self):
        return f"--- {self.name}'s log\n" + self.log.read_text(errors="replace")[-6000:]

    def stop(self):
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(int(self.one("TimeoutStopSec")))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} did not stop\n{self.log_tail()}") from None
        assert code == 0, f"{self.name} ended with {code}\n{self.log_tail()}"
