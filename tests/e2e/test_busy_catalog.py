"""A catalog that can not be read for a moment: the answer says so, and to come again."""

import contextlib
import os
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import web
from archive import put_run, wait_filed
from camera import Mount
from times import format_utc
from waiting import wait_for

ONE = Mount("one")


@contextlib.contextmanager
def locked(path):
    """Nobody can read a database that nobody has open yet."""
    rival = sqlite3.connect(path, isolation_level=None)
    try:
        rival.execute("PRAGMA locking_mode = EXCLUSIVE")
        rival.execute("BEGIN EXCLUSIVE")
        yield
        rival.execute("COMMIT")
    finally:
        rival.close()


def test_a_download_is_told_to_come_again(lab):
    camera = lab.camera(ONE)
    keepframe = lab.keepframe()
    keepframe.configure({"one": {"url": camera.url("one")}}, recording={"segment": "2s"})
    keepframe.start().wait_ready()
    rows = keepframe.wait_sealed("one", 2)
    ask = {"start": format_utc(rows[0].start_us), "end": format_utc(rows[1].end_us)}
    whole = keepframe.download("one", **ask).expect(200).body
    keepframe.stop()
    (frames,) = sorted(keepframe.data.glob("frames-*.db"))[:1]
    address_file = keepframe.runtime / "webui.address"
    address_file.unlink(missing_ok=True)
    with open(keepframe.log, "ab") as log:
        webui = subprocess.Popen(
            [lab.build.program("keepframe-webui"), "run", "--runtime", str(keepframe.runtime)],
            stdout=log, stderr=log, env=lab.env())
    try:
        wait_for("it listens", lambda: address_file.exists() and address_file.read_text().strip())
        address = address_file.read_text().strip()

        def download():
            return web.request(address, "GET", web.target("/video/one/main.mp4", ask))
        with locked(frames):
            answer = download().expect(503)
        assert answer.json["error"]["code"] == "catalog_busy"
        assert answer.headers["Retry-After"] == "1"
        assert download().expect(200).body == whole
    finally:
        webui.terminate()
        assert webui.wait(30) == 0


def test_a_download_waits_for_a_catalog_that_becomes_busy(lab):
    """Three days of footage; the sample tables of the middle one can not be read for a while, when
    the answer has begun."""
    keepframe = lab.keepframe().configure({})
    noon = time.time_ns() // 86_400_000_000_000 * 86_400 - 43_200
    for run in (noon - 2 * 86_400, noon - 86_400, noon):
        put_run(keepframe, "yard", "h264", run * 1000)
        first, second = keepframe.cache_files("yard")[-2:]
        second.unlink()  # alone, it ends with its last write
        os.utime(first, (run + 5, run + 5))
    keepframe.start().wait_ready()
    wait_filed(keepframe, "yard")
    rows = keepframe.sealed("yard")
    assert len(rows) == 3
    ask = {"start": format_utc(rows[0].start_us), "end": format_utc(rows[-1].end_us)}
    whole = keepframe.download("yard", **ask).expect(200).body
    keepframe.stop()
    _, middle, _ = sorted(keepframe.data.glob("frames-*.db"))
    with ThreadPoolExecutor(1) as pool, locked(middle):
        keepframe.start().wait_ready()
        answer = pool.submit(keepframe.download, "yard", **ask)
        keepframe.wait_log("/video/yard/main.mp4", "waits", "catalog")
        assert not answer.done()
        assert keepframe.get("/healthz").status == 200, "it holds up others"
    answer = answer.result(60).expect(200)
    assert answer.body == whole
    assert not keepframe.log_lines("ends early")
