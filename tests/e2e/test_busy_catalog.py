"""A catalog that can not be read for a moment: the answer says so, and to come again."""

import sqlite3
import subprocess

import web

from camera import Mount
from times import format_utc
from waiting import wait_for

ONE = Mount("one")


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
    rival = sqlite3.connect(frames, isolation_level=None)
    rival.execute("PRAGMA locking_mode = EXCLUSIVE")
    rival.execute("BEGIN EXCLUSIVE")
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
        answer = download().expect(503)
        assert answer.json["error"]["code"] == "catalog_busy"
        assert answer.headers["Retry-After"] == "1"
        rival.execute("COMMIT")
        rival.close()
        assert download().expect(200).body == whole
    finally:
        webui.terminate()
        assert webui.wait(30) == 0
