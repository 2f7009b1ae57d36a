"""A camera's password is in the configuration and nowhere else, whatever goes wrong."""

import json
import os
import signal
import string
import threading
from urllib.parse import quote

import pytest

from camera import Mount
from procs import all_procs

ONE = Mount("one", length=60)


def random_password(chance):
    """16 characters with what URLs, shells, YAML and ffmpeg's scripts treat specially."""
    letters = [chance.choice(string.ascii_letters + string.digits) for _ in range(12)]
    special = ["%", "@", "'", '"']
    where = sorted(chance.sample(range(1, 15), 4))
    for at, mark in zip(where, special):
        letters.insert(at, mark)
    return "".join(letters)


def forms_of(secret):
    """How the secret may look where it leaks: raw, percent-encoded, and as JSON, YAML and an
    ffconcat script write it."""
    encoded = quote(secret, safe="")
    lenient = quote(secret, safe="!$&'()*+,;=:\"")
    forms = {secret, encoded, encoded.lower(), lenient, lenient.lower(),
             json.dumps(secret)[1:-1], secret.replace("'", "''"), secret.replace("'", "'\\''")}
    return [form.encode() for form in forms]


class Watch:
    """Looks at the command line of every process, and at the environment of ours, all the time."""

    def __init__(self, keepframe, forms):
        self.keepframe, self.forms = keepframe, forms
        self.found, self.programs, self.looks = set(), set(), 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        mine = str(self.keepframe.folder).encode()
        while not self._end.wait(0.02):
            self.looks += 1
            for proc in all_procs():
                ours = mine in proc.cmdline
                if ours:
                    self.programs.add(proc.program)
                shown = proc.cmdline + (proc.environ if ours else b"")
                if any(form in shown for form in self.forms):
                    self.found.add((proc.program, proc.cmdline))

    def end(self):
        self._end.set()
        self._thread.join()


@pytest.fixture
def guarded(lab, chance):
    """A Keepframe whose cameras have passwords: one is well, one has the wrong password, one asks
    for a path that is not there, one for a server that is not there. And all the secrets."""
    passwords = [random_password(chance) for _ in range(4)]
    camera = lab.camera(ONE, user="nv r@x", password=passwords[0])
    secret_file = lab.folder / "one.secret"
    secret_file.write_text(passwords[0] + "\n")
    gone = lab.camera(ONE)
    gone.kill()
    keepframe = lab.keepframe()
    keepframe.configure(
        {
            "one": {"url": camera.url("one"), "username": "nv r@x",
                    "password_file": str(secret_file)},
            "wrong": {"url": camera.url("one"), "username": "nv r@x", "password": passwords[1]},
            "absent": {"url": camera.url("nowhere"), "username": "nv r@x",
                       "password": passwords[0]},
            "dead": {"url": gone.url("one"), "username": "nv r@x", "password": passwords[2]},
            "from-env": {"url": gone.url("one"), "username": "nv r@x",
                         "password": passwords[3]},
        },
        recording={"segment": "2s", "timeout": "2s"})
    return keepframe, [form for password in passwords for form in forms_of(password)]


def leaks_in(files, forms):
    return [str(path) for path in files
            if path.is_file() and any(form in path.read_bytes() for form in forms)]


def assert_clean(text, forms, what):
    data = text if isinstance(text, bytes) else text.encode()
    assert not any(form in data for form in forms), f"a password is in {what}"


def test_passwords_are_nowhere_but_in_the_configuration(guarded):
    keepframe, forms = guarded
    config = keepframe.config.read_bytes()
    assert any(form in config for form in forms), "the search itself finds nothing"
    watch = Watch(keepframe, forms)
    keepframe.start().wait_ready()
    keepframe.wait_sealed("one", 2)
    for name in ("wrong", "absent", "dead"):
        keepframe.wait_for(f"the log tells of {name}", lambda: keepframe.log_lines(f"{name}/main"))
    keepframe.wait_log("wrong/main", "401")
    keepframe.wait_log("absent/main", "404")
    keepframe.wait_log("dead/main", "refused")

    # Everything that answers.
    names = ("one", "wrong", "absent", "dead")
    answers = [keepframe.get(path).body for path in
               ["/", "/healthz", "/api/v1/cameras", "/video/one/main.mp4?start=x",
                *(f"/api/v1/cameras/{name}" for name in names),
                *(f"/api/v1/cameras/{name}/main/segments" for name in names)]]
    rows = keepframe.sealed("one")
    answers.append(keepframe.download("one", start=rows[0].start_us / 1e6, duration="4s").body)
    answers += [json.dumps(keepframe.ask("status")).encode(),
                *(json.dumps(keepframe.ask("status", camera=name, stream="main")).encode()
                  for name in names)]
    for words in (["status"], ["status", "--json"], ["check-config"],
                  ["check-config", "--print-commands"], ["status", "wrong/main"]):
        done = keepframe.command(*words)
        answers.append((done.stdout + done.stderr).encode())
    for answer in answers:
        assert_clean(answer, forms, repr(answer[:300]))

    # Errors of a reload: one in a key beside the password, one in the password itself.
    text = keepframe.config.read_text()
    keepframe.write_config(text.replace("password:", "pasword:"))
    done = keepframe.command("reload")
    assert done.returncode != 0
    assert_clean(done.stdout + done.stderr, forms, done.stderr)
    keepframe.write_config(text)
    keepframe.send(signal.SIGUSR1)
    keepframe.send(signal.SIGHUP)
    keepframe.wait_log("reload")

    keepframe.stop()
    watch.end()
    assert watch.looks > 50 and {"keepframe", "keepframe-indexer", "keepframe-webui",
                                 "ffmpeg"} <= watch.programs, watch.programs
    assert watch.found == set()
    assert_clean(keepframe.log_text(), forms, "the log")
    assert leaks_in(keepframe.data.rglob("*"), forms) == []


def test_a_url_with_a_password_is_refused_without_repeating_it(guarded):
    keepframe, forms = guarded
    text = keepframe.config.read_text()
    secret = forms[0].decode()
    encoded = quote(secret, safe="")
    keepframe.write_config(text.replace("rtsp://", f"rtsp://nvr:{encoded}@"))
    for words in (["check-config"], ["check-config", "--print-commands"]):
        done = keepframe.command(*words)
        assert_clean(done.stdout + done.stderr, forms, done.stdout + done.stderr)


def test_the_secret_is_in_no_file_that_others_may_read(guarded):
    keepframe, _ = guarded
    keepframe.start().wait_ready()
    keepframe.wait_open("one")
    for path in keepframe.data.rglob("*"):
        mode = path.lstat().st_mode
        assert not mode & 0o002 or path.is_symlink(), f"{path} is writable for all"
    # What a recorder inherits is a pipe, not a file that could be opened by its name.
    pid = keepframe.wait_recorder("one")
    assert any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("pipe:")
               for fd in os.listdir(f"/proc/{pid}/fd"))
