"""hls.js in Chromium plays live HLS; how old its picture is, is read from the picture itself. hls.js
is no package of the distribution: HLS_JS in the environment names the file (hls.min.js of the npm
package hls.js)."""

import os
import statistics
from pathlib import Path

import pytest

from browser import BAND_JS, Browser
from camera import Mount
from hlslive import Player as HlsReader
from picture import number_in

FPS = 25
CAMERA = Mount("yard", audio=True, bframes=2, clock="wall")

START_JS = """async url => {
    const video = document.createElement('video');
    video.muted = true;
    document.body.replaceChildren(video);
    window.errors = [];
    window.hls = new Hls({lowLatencyMode: true, enableWorker: false, maxLiveSyncPlaybackRate: 1.3});
    hls.on(Hls.Events.ERROR, (_, data) => errors.push(data.details + (data.fatal ? ' fatal' : '')));
    hls.loadSource(url);
    hls.attachMedia(video);
    await video.play();
}"""

LOOK_JS = "() => [(%s)('video'), Date.now() / 1000, hls.latency, errors]" % BAND_JS


@pytest.mark.skipif("HLS_JS" not in os.environ, reason="needs hls.js: HLS_JS names its file")
@pytest.mark.parametrize("path", ("master.m3u8", "main/live.m3u8?audio=1"))
def test_its_picture_is_less_than_three_seconds_old(lab, path):
    camera = lab.camera(CAMERA)
    keepframe = lab.keepframe()
    keepframe.configure({"yard": {"url": camera.url("yard")}}).start().wait_ready()
    keepframe.wait_open("yard")
    listed = HlsReader(keepframe, "yard")
    listed.load()
    while len(listed.playlist.complete) < 3:
        listed.follow()
    with Browser(lab) as browser:
        page = browser.open(keepframe.url("/healthz"))
        page.evaluate(Path(os.environ["HLS_JS"]).read_text() + "; 0")
        page.run(START_JS, keepframe.url(f"/hls/yard/{path}"))
        page.wait_for("it plays", "document.querySelector('video').currentTime > 0 && "
                      "document.querySelector('video').readyState >= 3")
        page.evaluate("new Promise(done => setTimeout(done, 8000))")  # it catches up
        ages = []
        for _ in range(30):
            cells, now, latency, errors = page.run(LOOK_JS)
            number = number_in(cells) if cells else None
            if number is not None:
                ages.append((now - number / FPS + CAMERA.length / 2) % CAMERA.length -
                            CAMERA.length / 2)
            page.evaluate("new Promise(done => setTimeout(done, 150))")
        ages.sort()
        print(f"\n{path}: median {statistics.median(ages):.2f} s, "
              f"p95 {ages[int(len(ages) * 0.95)]:.2f}, most {ages[-1]:.2f}; hls.js says "
              f"{latency:.2f}; errors {errors}")
        assert statistics.median(ages) < 3
        assert not [error for error in errors if "fatal" in error]
