"""Disks that fail, call by call: whatever the indexer does when a file call fails, nothing that was
finished is lost, it says what is wrong, what does not need the call goes on, and all is well again
when the call works again. The short form has one fault of each kind; `--long` has all."""

import signal
import subprocess
import time
from dataclasses import dataclass

import pytest

import media
from archive import CORPUS, indexer, put_run
from disk import Disk
from keepframe import ask
from procs import read_proc
from waiting import wait_for

CORPUS_FILE = "h264-b-aac"


@dataclass(frozen=True)
class Fault:
    name: str
    call: str  # as FAILCALL has it
    says: str  # in the log while it lasts
    copies: bool = False  # the volume is on another file system than the cache
    alarm: str = ""  # and in the status
    stays: bool = True  # every such call fails until the fault is gone; else it is one alone
    other: bool = True  # another camera's footage is filed meanwhile


YARD = "/yard/main/"
SHORT = {"read a fragment once", "write the header", "no room for the moov", "sync the seal once", "link",
         "sync the directory", "write the copy", "no room for the copy", "sync the copy", "sync the frames",
         "no room for the catalog", "sync the catalog", "remove the cache name"}  # the ledger waits for 30 s
FAULTS = [
    # Looking at a file of the cache.
    Fault("read a fragment once", "read:-000000.mp4:2:EIO", "can not be read", stays=False),
    Fault("read", "read:.mp4:0:EIO", "can not be read", alarm="can not be filed: ", other=False),
    # Sealing in place.
    Fault("write the moov", f"pwrite:{YARD}:1:EIO", "can not be written", stays=False),
    Fault("write the header", f"pwrite:{YARD}:2:EIO", "can not be written", stays=False),
    Fault("no room for the moov", f"pwrite:{YARD}:0:ENOSPC", "No space left", alarm="No space"),
    Fault("sync the seal once", "sync:-000000.mp4:1:EIO", "can not be synced", stays=False),
    Fault("sync the seal", f"sync:cache{YARD}:0:EIO", "can not be synced",
          alarm="can not be synced"),
    # Giving it its name in the volume.
    Fault("make a directory", "mkdir:yard:0:EIO", "can not be filed", alarm="can not be filed"),
    Fault("link", f"link:{YARD}:0:EIO", "can not be filed", alarm="can not be filed"),
    Fault("read-only", f"link:{YARD}:0:EROFS", "Read-only", alarm="Read-only"),
    Fault("sync the directories above", f"sync:video{YARD}:1:EIO", "can not be filed", stays=False),
    Fault("sync the directory", f"sync:video{YARD}2:1:EIO", "can not be synced", stays=False),
    # Copying.
    Fault("make the copy", "create:.keepframe-incoming:0:EIO", "can not be made", True,
          alarm="can not be made", other=False),
    Fault("write the copy", "pwrite:.keepframe-incoming:0:EIO", "can not be written", True,
          alarm="can not be written", other=False),
    Fault("no room for the copy", "pwrite:.keepframe-incoming:2:ENOSPC", "No space left", True,
          stays=False),
    Fault("sync the copy", "sync:.keepframe-incoming:1:EIO", "can not be written", True,
          stays=False),
    Fault("name the copy", "rename:.keepframe-incoming:0:EIO", "can not be filed", True,
          alarm="can not be filed", other=False),
    Fault("read for the copy", "read:.mp4:0:EIO", "can not be read", True,
          alarm="can not be filed: ", other=False),
    # The catalog.
    Fault("make the frames", "create:frames-:0:EIO", "the catalog can not be written",
          alarm="frames-", other=False),
    Fault("write the frames", "pwrite:/frames-:0:ENOSPC", "the catalog can not be written",
          alarm="frames-", other=False),
    Fault("sync the frames", "sync:/frames-:0:EIO", "the catalog can not be written",
          alarm="frames-", other=False),
    Fault("write the catalog", "pwrite:/catalog.db-wal:0:EIO", "the catalog can not be written",
          alarm="catalog.db", other=False),
    Fault("no room for the catalog", "pwrite:/catalog.db-wal:0:ENOSPC",
          "the catalog can not be written", alarm="catalog.db", other=False),
    Fault("sync the catalog", "sync:/catalog.db-wal:0:EIO", "the catalog can not be written",
          alarm="catalog.db", other=False),
    # What comes after it.
    Fault("append to the ledger", "write:/.keepframe-ledger:0:ENOSPC",
          "the ledger is written anew later"),
    Fault("sync the ledger", "sync:/.keepframe-ledger:0:EIO", "the ledger is written anew later"),
    Fault("remove the cache name", f"unlink:cache{YARD}:0:EIO", "can not be removed"),
]


class Indexer:
    """`keepframe-indexer run` alone, some of whose calls fail while the file `fault` is there."""

    def __init__(self, lab, name, call, volumes=(), data=None, **recording):
        self.keepframe = lab.keepframe(f"indexer-{name}", data)
        self.keepframe.cache = self.keepframe.folder / "cache"
        self.volumes = list(volumes) or [self.keepframe.folder / "video"]
        self.keepframe.video = self.volumes[0]
        self.keepframe.configure({}, recording=recording, storage={
            "cache": str(self.keepframe.cache),
            "volumes": [{"path": str(path), "min_free": "0"} for path in self.volumes]})
        self.fault = self.keepframe.folder / "fault"
        self.call = call
        env = lab.preload_env("failcall.so", FAILCALL=call, FAILCALL_WHILE=str(self.fault))
        with open(self.keepframe.log, "ab") as log:
            self.process = subprocess.Popen(
                [lab.build.program("keepframe-indexer"), "run", "-c", str(self.keepframe.config),
                 "--data", str(self.keepframe.data), "--debug"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.keepframe.folder, env=env)
        lab.things.append(self)
        self.wait("it works", lambda: self.status()["volumes"][0]["writable"])

    def status(self):
        return ask(self.keepframe.runtime / "indexer.sock", {"command": "status"})["result"]

    def wait(self, what, probe, timeout=90):
        def checked():
            assert self.process.poll() is None, f"the indexer has ended before {what}"
            return probe()
        return wait_for(f"{what} ({self.call})", checked, timeout, self.keepframe.log_tail)

    def failures(self):
        return len(self.fault.read_text().splitlines()) if self.fault.exists() else 0

    def put(self, camera, run=None):
        run = run or time.time_ns() // 1_000_000
        put_run(self.keepframe, camera, CORPUS_FILE, run)
        return [f"{camera}/main/{run}-{number:06}" for number in range(2)]

    def rows(self):
        return {f"{camera}/main/{run}-{number:06}" for camera, run, number in
                self.keepframe.catalog("SELECT camera, run, number FROM footage")}

    def cached(self):
        return [path for path in self.keepframe.cache.glob("*/*/*") if path.suffix != ".tmp"]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        assert self.process.wait(30) == 0, self.keepframe.log_tail()


@pytest.fixture(scope="module")
def original():
    """The packets of the corpus files, before anybody has touched them."""
    return [(media.frame_hashes(path), media.frame_hashes(path, "audio"))
            for path in sorted(CORPUS.glob(f"{CORPUS_FILE}-*.mp4"))]


def assert_filed(subject, identities, original):
    """Each once, as a file with the original packets and as a row; nothing else is anywhere."""
    paths = [path for volume in subject.volumes
             for path in subject.keepframe.volume_files(volume=volume)]
    files = {media.identity_of(path): path for path in paths}
    assert set(files) == set(identities) == subject.rows(), subject.call
    assert len(files) == len(paths), subject.call
    for identity, path in files.items():
        movie = media.Movie(path)
        assert tuple([movie.hash_of(sample) for sample in movie.track(kind).samples] for kind in (
            "video", "audio")) == original[int(identity[-6:])], f"{identity} ({subject.call})"
    done = indexer(subject.keepframe, "verify")
    assert (done.returncode, done.stdout) == (0, ""), f"{subject.call}: {done.stdout}{done.stderr}"
    assert not [path for volume in subject.volumes
                for path in (volume / ".quarantine").rglob("*.mp4")], subject.call


def assert_met(fault, subject, identities):
    """The call has failed; that was said; what does not need it goes on."""
    subject.wait("the call has failed", subject.failures)
    subject.wait(f"the log says {fault.says!r}", lambda: subject.keepframe.log_lines(fault.says))
    if fault.alarm:
        subject.wait("there is an alarm", lambda: any(
            fault.alarm in alarm for alarm in subject.status()["alarms"]))
    if fault.other:
        subject.wait("another camera's is filed", lambda: set(identities[2:]) <= subject.rows())


def assert_set_aside(subject, identities):
    """What can never be read is kept as it is, or as far as it can be copied, and holds up nothing."""
    first, *others = identities
    subject.wait("the one behind it is filed", lambda: set(others) <= subject.rows())
    assert subject.rows() == set(others)
    assert subject.keepframe.log_lines(first, "Input/output error")
    (kept,) = (subject.keepframe.video / ".quarantine").glob("*.mp4")
    assert kept.stat().st_size == (CORPUS / f"{CORPUS_FILE}-000000.mp4").stat().st_size


def test_a_call_that_fails_costs_nothing_that_was_finished(lab, original, is_long, tell):
    """Faults side by side, each in an indexer of its own: most of the time is spent waiting for
    the next attempt. Beside them two files that can never be read."""
    other_disk = lab.small_disk(64)
    subjects = []
    chosen = [fault for fault in FAULTS if is_long or fault.name in SHORT]
    assert len(chosen) == len(FAULTS if is_long else SHORT)
    tell(f"disks that fail: {len(chosen)} faults of {len(FAULTS)}")
    for number, fault in enumerate(chosen):
        subject = Indexer(lab, number, fault.call,
                          [other_disk / str(number)] if fault.copies else [])
        subject.fault.touch()
        subjects.append((fault, subject, subject.put("yard") + subject.put("door")))
    run = time.time_ns() // 1_000_000
    unreadable = [Indexer(lab, name, f"read:{run}-000000.mp4:0:EIO", volumes) for name, volumes in (
        ("linking", []), ("copying", [other_disk / "video"]))]
    for subject in unreadable:
        subject.fault.touch()
    set_aside = [(subject, subject.put("yard", run) + subject.put("door"))
                 for subject in unreadable]
    for case in subjects:
        assert_met(*case)
    for fault, subject, _ in subjects:
        if fault.stays:
            subject.fault.unlink()
    for fault, subject, identities in subjects:
        subject.wait("all is filed", lambda s=subject: not s.cached())
        subject.wait("no alarm is left", lambda s=subject: s.status()["alarms"] == [])
        if "ledger" in fault.name:
            ledger = subject.keepframe.video / ".keepframe-ledger.jsonl"
            subject.wait("the ledger has both runs", lambda p=ledger, i=identities: all(
                identity.split("/")[2][:13] in p.read_text() for identity in i))
        subject.stop()
        assert_filed(subject, identities, original)
    for case in set_aside:
        assert_set_aside(*case)


def test_a_run_file_that_could_not_be_read_is_read_again(lab, original):
    """Else the run would never end in the catalog, and its file never leave the cache."""
    run = time.time_ns() // 1_000_000
    subject = Indexer(lab, "story", f"read:{run}.json:1:EIO")
    subject.fault.touch()
    identities = subject.put("yard", run)
    subject.wait("the call has failed", subject.failures)
    subject.wait("all is filed, the run file too", lambda: not subject.cached())
    assert [tuple(row) for row in subject.keepframe.catalog("SELECT run, reason FROM run")] == [(run, "closed")]
    subject.stop()
    assert_filed(subject, identities, original)


def test_a_full_disk_under_the_catalog_holds_footage_back_until_there_is_room(lab, original):
    place = lab.small_disk(4)
    subject = Indexer(lab, "full", "read:nothing:0:EIO", data=place / "data")
    filler = place / "filler"
    with open(filler, "wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            pass
    identities = subject.put("yard")
    subject.wait("there is an alarm", lambda: any(
        "full" in alarm for alarm in subject.status()["alarms"]))
    assert subject.cached() and not subject.rows()
    filler.unlink()
    subject.wait("all is filed", lambda: not subject.cached())
    subject.wait("no alarm is left", lambda: subject.status()["alarms"] == [])
    subject.stop()
    assert_filed(subject, identities, original)


def test_a_volume_that_vanishes_in_the_middle_of_a_copy(lab, original):
    """The other volume takes the segment; the first is used again when it is back."""
    disk = Disk(lab, "ext4")
    first = disk.place / "video"
    subject = Indexer(lab, "vanishing", "pwrite:.keepframe-incoming:2:STOP",
                      [first, lab.folder / "second"])
    subject.fault.touch()
    identities = subject.put("yard")
    subject.wait("it is in the middle of a copy", lambda: read_proc(subject.process.pid).state == "T")
    assert (first / ".keepframe-incoming").stat().st_size
    disk.cut()
    subject.fault.unlink()
    subject.process.send_signal(signal.SIGCONT)
    subject.wait("the other volume has taken all", lambda: set(identities) <= subject.rows())
    assert len(subject.keepframe.volume_files(volume=subject.volumes[1])) == 2
    subject.wait("there is an alarm", lambda: any(
        str(first) in alarm for alarm in subject.status()["alarms"]))
    disk.bring_back()
    subject.wait("no alarm is left", lambda: subject.status()["alarms"] == [])
    identities += subject.put("door")
    subject.wait("the first one is used again",
                 lambda: len(subject.keepframe.volume_files(volume=first)) == 2)
    subject.wait("all is filed", lambda: not subject.cached())
    subject.stop()
    assert_filed(subject, identities, original)


def test_a_deletion_that_fails_is_done_later(lab, is_long):
    """The row is gone, the file can not go; it does when the next one has to."""
    if not is_long:
        pytest.skip("the long form alone: it takes the pause between two attempts")
    subject = Indexer(lab, "deleting", "unlink:video/yard/:0:EIO", retain={"continuous": "2s"})
    subject.fault.touch()
    subject.put("yard")
    subject.wait("the log says it", lambda: subject.keepframe.log_lines("can not be deleted"))
    subject.wait("there is an alarm", lambda: any(
        "can not be deleted" in alarm for alarm in subject.status()["alarms"]))
    assert len(subject.keepframe.volume_files("yard")) == 2
    subject.fault.unlink()
    subject.put("door")
    subject.wait("all have gone", lambda: not subject.keepframe.volume_files() and not
                 subject.keepframe.catalog("SELECT * FROM garbage"))
    subject.wait("no alarm is left", lambda: subject.status()["alarms"] == [])


def test_verify_names_what_it_can_not_read(lab):
    subject = Indexer(lab, "verified", "read:nothing:0:EIO")
    bad, good = subject.put("yard")
    subject.wait("all is filed", lambda: not subject.cached())
    (path,) = [path for path in subject.keepframe.volume_files()
               if media.identity_of(path) == bad]
    env = lab.preload_env("failcall.so", FAILCALL=f"read:{path.name}:0:EIO")
    done = indexer(subject.keepframe, "verify", env=env)
    assert done.returncode == 1 and good not in done.stdout
    assert bad in done.stdout and "Input/output error" in done.stdout
    output = subject.keepframe.folder / "out.mp4"
    env = lab.preload_env("failcall.so", FAILCALL=f"read:{path.name}:3:EIO")
    done = indexer(subject.keepframe, "verify", "--unseal", bad, "-o", output, env=env)
    assert done.returncode == 1 and "Input/output error" in done.stderr, done
    assert not output.exists()
