"""`cmake --install`: the installed tree is whole and works where it stands."""

import os
import re
import subprocess

import pytest

from lab import Build, Lab

PAGES = ("keepframe.1", "keepframe-indexer.1", "keepframe-webui.1", "keepframe.yaml.5")
PROGRAMS = ("keepframe", "keepframe-indexer", "keepframe-webui")


@pytest.fixture(scope="module")
def destination(build, tmp_path_factory):
    """What a packager gets: everything below one folder."""
    folder = tmp_path_factory.mktemp("destination")
    done = subprocess.run(["cmake", "--install", str(build.folder)], capture_output=True,
                          text=True, env={**os.environ, "DESTDIR": str(folder)})
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def prefix(build, destination):
    for line in (build.folder / "CMakeCache.txt").read_text().splitlines():
        if line.startswith("CMAKE_INSTALL_PREFIX:"):
            return destination / line.partition("=")[2].lstrip("/")
    raise AssertionError("the build has no prefix")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_says_its_version_and_its_manual_knows_its_words(prefix, lab, program):
    def ask(option):
        return subprocess.run([prefix / "bin" / program, option], capture_output=True, text=True,
                              check=True, env=lab.env()).stdout
    assert re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", ask("--version"))
    manual = render(prefix / "share/man/man1" / f"{program}.1")
    usage = ask("--help")
    words = re.findall(r"^  ([a-z][a-z-]+)", usage, re.M) + re.findall(r" (--[a-z-]+)", usage)
    assert "run" in words and "--version" in words
    missing = [word for word in words if word not in manual]
    assert not missing, f"{program}.1 lacks {missing}"


def render(path):
    done = subprocess.run(["man", "--warnings", "--nh", "--nj", "-E", "UTF-8", "-l", str(path)],
                          capture_output=True, text=True,
                          env={**os.environ, "MANWIDTH": "2000", "MAN_KEEP_FORMATTING": "",
                               "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_a_manual_page_renders(prefix, page):
    text = render(prefix / f"share/man/man{page[-1]}" / page)
    for section in ("NAME", "DESCRIPTION", "SEE ALSO"):
        assert f"\n{section}\n" in text, text[:2000]


def test_units_and_their_companions_name_what_is_installed(destination, prefix):
    for unit in ("keepframe", "keepframe-webui"):
        text = (prefix / f"lib/systemd/system/{unit}.service").read_text()
        programs = re.findall(r"^Exec\w+=(\S+)", text, re.M)
        assert programs
        for program in programs:
            assert program == "/bin/kill" or (destination / program.lstrip("/")).exists(), program
    copies = re.findall(r"^C .* (\S+)$", (prefix / "lib/tmpfiles.d/keepframe.conf").read_text(),
                        re.M)
    assert copies and all((destination / path.lstrip("/")).exists() for path in copies)
    assert (prefix / "lib/sysusers.d/keepframe.conf").exists()
    for program in PROGRAMS:
        assert (prefix / "share/bash-completion/completions" / program).exists()


def test_what_is_installed_starts_and_shows_its_page(prefix):
    lab = Lab(Build(prefix))
    try:
        keepframe = lab.keepframe()
        example = (prefix / "share/keepframe/keepframe.yaml").read_text()
        keepframe.write_config(example.replace("#listen: 127.0.0.1:8080", "listen: 127.0.0.1:0")
                               .replace("path: /var/lib", f"path: {keepframe.data}/var/lib"))
        keepframe.start().wait_ready()
        page = keepframe.get("/").expect(200)
        assert b"<title>" in page.body
        assert len(keepframe.get("/static/app.js").expect(200).body) > 1000
    finally:
        lab.close()
