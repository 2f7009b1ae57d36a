"""A disk of a test's own: a file system in a sparse image on a loop device, whose power can be cut.

What is cut off is what a power cut takes from a sound disk: everything that was not synced, and the
journal's unwritten end. The image itself is never torn in a way in which no disk is.
"""

import fcntl
import os
import shutil
import struct
import subprocess

import pytest

from waiting import wait_for

# ext4 and xfs share the call (EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN) and the flag: the log is not flushed.
IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2

SIZE_MIB = {"ext4": 128, "xfs": 320}  # mkfs.xfs makes none below 300 MiB; the image is sparse
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}


def _run(*command):
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)


class Disk:
    """Mounted at `place`; close() takes everything away, whatever state it is in."""

    def __init__(self, lab, kind, name="disk"):
        if not shutil.which(MAKE[kind][0]):
            pytest.skip(f"{MAKE[kind][0]} is not installed")
        if os.geteuid() != 0:
            pytest.skip("only root can mount a disk")
        self.kind = kind
        self.image = lab.folder / f"{name}.{kind}"
        self.place = lab.folder / name
        self.place.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(SIZE_MIB[kind] << 20)
        made = _run(*MAKE[kind], self.image)
        assert made.returncode == 0, made.stderr
        lab.cleanup(self.close)
        self._mount(lambda why: pytest.skip(f"a loop device can not be mounted here: {why}"))

    def _mount(self, refused):
        # The loop device goes by itself with the mount.
        done = _run("mount", "-o", "loop", self.image, self.place)
        if done.returncode != 0:
            refused(done.stderr.strip())

    def cut(self):
        """From here on nothing reaches the image, and every call on the file system fails."""
        place = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(place, IOC_SHUTDOWN, struct.pack("=I", NO_LOG_FLUSH))
        finally:
            os.close(place)

    def plug_in(self):
        """Mounts it again; its journal is replayed."""
        def fail(why):
            raise AssertionError(f"{self.kind} can not be mounted after the cut: {why}")
        # A killed process is seen as dead before the last of its threads has let go.
        wait_for(f"{self.place} can be unmounted", lambda: _run("umount", self.place).returncode == 0)
        self._mount(fail)

    def bring_back(self):
        """As a disk that was pulled out and is there again, under programs that still hold the old one."""
        _run("umount", "-l", self.place)
        again = self.image.with_suffix(".again")
        assert _run("cp", "--sparse=always", self.image, again).returncode == 0
        done = _run("mount", "-o", "loop", again, self.place)
        assert done.returncode == 0, done.stderr

    def is_mounted(self):
        """By the kernel's list: nothing can be asked of the place itself after a cut."""
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            return any(line.split()[1] == str(self.place) for line in mounts)

    def close(self):
        if self.is_mounted() and _run("umount", self.place).returncode != 0:
            _run("umount", "-l", self.place)
        for line in _run("losetup", "-j", self.image).stdout.splitlines():
            _run("losetup", "-d", line.split(":")[0])
        self.image.unlink(missing_ok=True)
