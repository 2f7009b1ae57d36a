"""The systemd units: what systemd says of them, and that both users can do their work and no more."""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

import web
from camera import Mount
from procs import all_procs
from units import IDS, UNITS, Unit, settings
from waiting import wait_for

NAMES = ("keepframe", "keepframe-webui")
EXPOSURE_MAX = 2.5
ONE, TWO = Mount("one"), Mount("two")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")


# --- What systemd says


@pytest.fixture
def units(build, tmp_path):
    """The units as they are installed, but with the programs of the build."""
    for name in NAMES:
        text = (UNITS / f"{name}.service.in").read_text()
        text = text.replace("@CMAKE_INSTALL_FULL_BINDIR@", str(build.folder / "bin"))
        assert "@" not in re.sub(r"[~=]@[\w-]+| @[\w-]+", "", text), "all is filled in"
        (tmp_path / f"{name}.service").write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_no_fault_with_a_unit(units, name):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"./{name}.service"],
                          cwd=units, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_hardly_exposed(units, name):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--json=short",
                           f"--threshold={EXPOSURE_MAX * 10:.0f}", f"./{name}.service"],
                          cwd=units, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout), "it was really judged"


def test_the_users_and_folders_are_made(tmp_path):
    conf = UNITS.parent
    for folder in ("etc", "run"):
        (tmp_path / folder).mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}",
                    str(conf / "sysusers.d" / "keepframe.conf")], check=True, capture_output=True)
    groups = dict(line.split(":", 1) for line in (tmp_path / "etc/group").read_text().splitlines())
    assert groups["keepframe"].split(":")[-1] == "keepframe-web"
    assert groups["keepframe-web"].split(":")[-1] == ""
    assert {settings(name)["User"][0] for name in NAMES} == set(groups) == set(IDS)
    if os.geteuid() != 0:
        return
    share = tmp_path / "share/keepframe"
    share.mkdir(parents=True)
    shutil.copy(conf / "keepframe.yaml", share)
    lines = (conf / "tmpfiles.d" / "keepframe.conf.in").read_text()
    (tmp_path / "tmpfiles.conf").write_text(
        lines.replace("@CMAKE_INSTALL_FULL_DATADIR@", "/share"))

    def make():
        subprocess.run(["systemd-tmpfiles", f"--root={tmp_path}", "--create",
                        str(tmp_path / "tmpfiles.conf")], check=True, capture_output=True)
    make()
    etc = tmp_path / "etc/keepframe"
    assert etc.stat().st_mode & 0o7777 == 0o700
    assert (tmp_path / "run/keepframe").stat().st_mode & 0o7777 == 0o750
    example = etc / "keepframe.yaml"
    assert example.stat().st_mode & 0o7777 == 0o600
    assert example.stat().st_uid == etc.stat().st_uid != 0
    assert example.read_bytes() == (conf / "keepframe.yaml").read_bytes()
    example.write_text("cameras: {}\n")
    make()
    assert example.read_text() == "cameras: {}\n", "what was edited stays"


# --- Both users at work


class House:
    """The folders as systemd and tmpfiles.d make them, a camera with a password, both units."""

    def __init__(self, lab):
        for program in ("keepframe", "keepframe-indexer", "keepframe-webui"):
            lab.program_for_all(program)
        self.camera = lab.camera(ONE, TWO, user="nvr", password="p4ssw0rd")
        self.keepframe = lab.keepframe()
        self.folder("data", 0o750)
        self.runtime = self.folder("run", 0o750)
        self.etc = self.folder("etc", 0o700, group=0)
        self.keepframe.config = self.etc / "keepframe.yaml"
        self.configure("one")
        extra = ["-c", str(self.keepframe.config), "--data", str(self.keepframe.data), "--debug"]
        self.supervisor = Unit(lab, "keepframe", self.runtime, extra)
        self.webui = Unit(lab, "keepframe-webui", self.runtime)
        self.keepframe.log = self.supervisor.log

    def folder(self, name, mode, group=IDS["keepframe"]):
        path = self.keepframe.folder / name
        path.mkdir()
        path.chmod(mode)
        os.chown(path, IDS["keepframe"], group)
        return path

    def configure(self, *names):
        """As root writes it: its folder alone keeps others out."""
        self.keepframe.configure({name: {
            "url": self.camera.url(name), "username": "nvr", "password": "p4ssw0rd"}
            for name in names})
        os.chown(self.keepframe.config, IDS["keepframe"], 0)

    def address(self):
        return (self.webui.folder / "webui.address").read_text().strip()

    def get(self, path, params=None):
        return web.request(self.address(), "GET", web.target(path, params), None, None)

    def reload(self):
        return subprocess.run(self.supervisor.as_user(*self.supervisor.words("ExecReload")),
                              env=self.keepframe.lab.env(), capture_output=True, text=True)

    def sealed(self, camera):
        answer = self.get(f"/api/v1/cameras/{camera}/main/segments")
        if answer.status in (404, 503):  # no catalog yet, or not in it
            return []
        return [row for row in answer.expect(200).json["segments"] if row["state"] == "sealed"]


@pytest.fixture
def house(lab):
    return House(lab)


def assert_web_user_is_kept_out(house):
    data = house.keepframe.data
    for path in (house.keepframe.config, house.etc):
        assert not house.webui.may("cat", str(path)) and not house.webui.may("ls", str(path))
    footage = house.keepframe.volume_files("one")[0]
    assert house.webui.may("cat", str(footage)), "footage is read by the group"
    for folder in (data, data / "cache", data / "cache/one/main", data / "video", footage.parent,
                   house.runtime):
        assert not house.webui.may("touch", str(folder / "made-by-the-web"))
    for file in (footage, data / "catalog.db", data / "catalog.db-wal", data / "catalog.db-shm",
                 house.runtime / "webui.json"):
        assert file.exists() and not house.webui.may("truncate", "-s", "0", str(file)), file


@needs_root
def test_two_users_record_and_serve(house):
    # The web interface comes first, and waits.
    house.webui.start().wait_told("READY=1")
    assert "STATUS=waiting for keepframe" in house.webui.told()
    house.supervisor.start().wait_told("READY=1")
    house.webui.wait_told("STATUS=serving")
    wait_for("a segment is sealed", lambda: house.sealed("one"), 90, house.supervisor.log_tail)
    row = house.sealed("one")[0]
    video = house.get("/video/one/main.mp4", {"start": row["start"], "end": row["end"]})
    assert len(video.expect(200).body) > 10_000
    house.get("/healthz").expect(200)
    children = {proc.program for proc in all_procs() if proc.ppid == house.supervisor.process.pid}
    assert children == {"keepframe-indexer", "ffmpeg"}, "the web interface is nobody's child"
    assert_web_user_is_kept_out(house)
    for unit in (house.supervisor, house.webui):
        unit.wait_told("WATCHDOG=1")

    # The web interface may have an event added, and reads on when the catalog's writer is killed.
    added = web.request(house.address(), "POST", "/api/v1/events", {"Content-Type": "application/json"},
                        json.dumps({"camera": "one", "start": row["start"], "label": "dog"}))
    event = added.expect(201).json
    indexer = next(proc.pid for proc in all_procs()
                   if proc.ppid == house.supervisor.process.pid and proc.program == "keepframe-indexer")
    os.kill(indexer, signal.SIGKILL)
    for _ in range(3):
        assert [one["id"] for one in house.get("/api/v1/events").expect(200).json["events"]] \
            == [event["id"]]
        again = house.get("/video/one/main.mp4", {"start": row["start"], "end": row["end"]})
        assert again.expect(200).body == video.body

    # A reload reaches the web interface, which the supervisor may not signal.
    house.configure("one", "two")
    done = house.reload()
    assert done.returncode == 0, done.stderr
    wait_for("the second camera is served", lambda: house.sealed("two"), 90,
             house.supervisor.log_tail)

    # A reload of a mistake fails, and says where.
    house.keepframe.write_config("cameras: [\n")
    done = house.reload()
    assert done.returncode != 0 and "keepframe.yaml:2" in done.stderr, done.stderr

    # Without recorder and indexer, what was recorded is still there.
    house.supervisor.stop()
    again = house.get("/video/one/main.mp4", {"start": row["start"], "end": row["end"]})
    assert again.expect(200).body == video.body
    house.webui.stop()
    assert house.webui.told()[-1] == "STOPPING=1"
    house.webui.start().wait_told("READY=1")
    wait_for("it serves again", lambda: house.get("/healthz"))
    again = house.get("/video/one/main.mp4", {"start": row["start"], "end": row["end"]})
    assert again.expect(200).body == video.body
