"""The preload libraries of tests/tools: each call is met, at the right time, with sanitizers too."""
import os
import re
import signal
import subprocess

import pytest

# Says each step when it is done, without writing to the file system.
PROGRAM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define STEP(call) (printf("%s %d\n", #call, (int)(call)), fflush(stdout))

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(void)
{
    struct iovec iov[2] = {{"ef", 2}, {"gh", 2}};
    struct statx x;
    struct statfs s;
    int fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    int copy = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600);

    STEP(write(fd, "ab", 2));
    STEP(pwrite(fd, "cd", 2, 2));
    STEP(pwritev(fd, iov, 2, 4));
    STEP(fdatasync(fd));
    STEP(ftruncate(fd, 6));
    STEP(fsync(fd));
    STEP(copy_file_range(fd, &(off_t){0}, copy, NULL, 6, 0));
    STEP(link("data", "data-link"));
    STEP(rename("data", "data-new"));
    STEP(unlink("data-link"));
    printf("lease %d\n", fcntl(copy, F_SETLEASE, F_WRLCK) < 0 ? errno : 0);
    statx(AT_FDCWD, "data-new", 0, STATX_BTIME, &x);
    printf("btime %d\n", !!(x.stx_mask & STATX_BTIME));
    fstatfs(fd, &s);
    printf("magic %lx\n", (long)s.f_type);
    long begun = now_ms();
    const char *wait_ms = getenv("WAIT_MS");
    epoll_wait(epoll_create1(0), &(struct epoll_event){0}, 1, wait_ms ? atoi(wait_ms) : 0);
    printf("elapsed %ld\n", now_ms() - begun);
    return 0;
}
"""


@pytest.fixture(scope="module", params=["plain", "asan"])
def program(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    (folder / "program.c").write_text(PROGRAM)
    flags = ["-fsanitize=address,undefined"] if request.param == "asan" else []
    subprocess.run(["gcc", "-D_FILE_OFFSET_BITS=64", *flags, "-o", folder / "program",
                    folder / "program.c"], check=True)
    return folder / "program"


@pytest.fixture
def run(build, program, tmp_path):
    def run(library, **variables):
        environment = dict(os.environ, LD_PRELOAD=build.tool(library),
                           ASAN_OPTIONS="verify_asan_link_order=0", **variables)
        return subprocess.run([program], cwd=tmp_path, env=environment, text=True,
                              capture_output=True, timeout=10)

    return run


def last_step(result):
    lines = result.stdout.splitlines()
    return re.match(r"\w+", lines[-1])[0] if lines else None


def read(path):
    return path.read_text() if path.exists() else None


@pytest.mark.parametrize("point, last, data", [
    ("write:data:1", None, ""),
    ("write:data:1:half", None, "a"),
    ("write:data:1:after", None, "ab"),
    ("pwrite:data:1:before", "write", "ab"),
    ("pwrite:/data:2", "pwrite", "abcd"),
    ("pwrite:data:2:half", "pwrite", "abcdef"),
    ("pwrite:data:2:after", "pwrite", "abcdefgh"),
    ("fdatasync:data:1", "pwritev", "abcdefgh"),
    ("fdatasync:data:1:after", "pwritev", "abcdefgh"),
    ("ftruncate:data:1", "fdatasync", "abcdefgh"),
    ("ftruncate:data:1:after", "fdatasync", "abcdef"),
    ("fsync:data:1", "ftruncate", "abcdef"),
    ("copy_file_range:copy:1", "fsync", "abcdef"),
    ("link:data-link:1", "copy_file_range", "abcdef"),
    ("rename:data:1", "link", "abcdef"),
    ("rename:data-new:1:after", "link", None),
    ("unlink:data:1", "rename", None),
    ("any:data:1", None, ""),
    ("any:data:5", "fdatasync", "abcdefgh"),
    ("any:data:6:after", "ftruncate", "abcdef"),
    ("link,unlink:data:2", "rename", None),
])
def test_dies_at_the_point(run, tmp_path, point, last, data):
    result = run("crashpoint.so", CRASHPOINT=point)

    assert result.returncode == -signal.SIGKILL
    assert (last_step(result), read(tmp_path / "data")) == (last, data)


@pytest.mark.parametrize("point", ["pwrite:data:3", "pwrite:copy:1", "unlink:other:1"])
def test_lives_when_the_point_is_not_reached(run, point):
    result = run("crashpoint.so", CRASHPOINT=point)

    assert result.returncode == 0
    assert "unlink(\"data-link\") 0" in result.stdout


def test_dies_once(run, tmp_path):
    variables = {"CRASHPOINT": "fsync:data:1", "CRASHPOINT_ONCE": str(tmp_path / "died")}

    assert run("crashpoint.so", **variables).returncode == -signal.SIGKILL
    assert (tmp_path / "died").exists()
    assert run("crashpoint.so", **variables).returncode == 0


def test_ends_only_the_program_that_is_meant(run):
    assert run("crashpoint.so", CRASHPOINT="fsync:data:1", CRASHPOINT_PROGRAM="other").returncode == 0
    assert run("crashpoint.so", CRASHPOINT="fsync:data:1", CRASHPOINT_PROGRAM="program").returncode < 0


def test_lists_the_calls_that_count(run, tmp_path):
    variables = {"CRASHPOINT_COUNT": str(tmp_path / "calls"),
                 "CRASHPOINT_ONCE": str(tmp_path / "died")}

    assert run("crashpoint.so", CRASHPOINT="fsync,link,pwrite:data:99", **variables).returncode == 0
    lines = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    assert [call for call, _ in lines] == ["pwrite", "pwrite", "fsync", "link"]
    assert {path.strip("/").rsplit("/")[-1] for _, path in lines} == {"data"}
    assert run("crashpoint.so", CRASHPOINT="link:data:1", **variables).returncode < 0
    assert (tmp_path / "died").read_text().split()[0] == "link"


@pytest.mark.parametrize("point", ["pwrite", "pwrite:data", "pwrite:data:x", "pwrite:data:0"])
def test_refuses_a_point_that_it_can_not_read(run, point):
    result = run("crashpoint.so", CRASHPOINT=point)

    assert result.returncode == 127
    assert f"CRASHPOINT={point} is not" in result.stderr


@pytest.mark.parametrize("variables, lease, btime, nfs", [
    ({}, 0, 1, False),
    ({"FAULT": "nolease"}, 22, 1, False),
    ({"FAULT": "nobtime,nfs"}, 0, 0, True),
    ({"FAULT": "nolease,nobtime,nfs", "FAULT_PATH": "/copy"}, 22, 1, False),
    ({"FAULT": "nolease", "FAULT_PROGRAM": "other"}, 0, 1, False),
])
def test_makes_a_file_system_poorer(run, variables, lease, btime, nfs):
    result = run("faultfs.so", **variables)

    assert result.returncode == 0, result.stderr
    assert f"lease {lease}\nbtime {btime}\n" in result.stdout
    assert ("magic 6969" in result.stdout) == nfs


def test_time_runs_faster(run):
    """A wait of a minute is over before run() loses its patience, and was a minute for the program."""
    result = run("clockshift.so", CLOCKPACE="600", WAIT_MS="60000")

    assert result.returncode == 0
    assert int(re.search(r"elapsed (\d+)", result.stdout)[1]) >= 60000


@pytest.mark.parametrize("rule, failed", [
    ("write:data:1:EIO", ["write"]),
    ("pwrite:data:0:ENOSPC", ["pwrite", "pwritev"]),
    ("pwrite:data:2:ENOSPC,link:data-link:1:EIO", ["pwritev", "link", "unlink"]),
    ("sync:data:1:EIO", ["fdatasync"]),
    ("sync:data:2:EIO", ["fsync"]),
    ("sync:data:1:LOST", ["fdatasync"]),
    ("rename:data-new:1:EROFS", ["rename"]),
    ("unlink:other:0:EIO", []),
])
def test_fails_the_call(run, tmp_path, rule, failed):
    note = tmp_path / "note"
    assert "-1" not in run("failcall.so", FAILCALL=rule, FAILCALL_WHILE=str(note)).stdout
    for name in ("data-new", "copy"):
        (tmp_path / name).unlink()
    note.touch()
    result = run("failcall.so", FAILCALL=rule, FAILCALL_WHILE=str(note))

    assert result.returncode == 0
    assert [re.match(r"\w+", line)[0] for line in result.stdout.splitlines()
            if line.endswith(" -1")] == failed
    assert len(note.read_text().splitlines()) == len(set(failed) - {"unlink"})


@pytest.mark.parametrize("rule", ["write:data", "write:data:x:EIO", "write:data:1:EOTHER"])
def test_refuses_a_rule_that_it_can_not_read(run, rule):
    assert run("failcall.so", FAILCALL=rule).returncode == 127
