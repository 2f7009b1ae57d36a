"""Live view in a browser: nine tiles in one answer, and how old each picture is, read from the picture itself."""

import statistics

import pytest

from browser import BAND_JS, Browser
from camera import Mount
from lab import Lab
from live import MuxClient
from picture import number_in
from slowlink import SlowLink

# The picture shows the wall clock, modulo the loop's length.
CAMERAS = (Mount("plain", clock="wall"), Mount("bframes", bframes=2, clock="wall"),
           Mount("sound", audio=True, clock="wall"))
TILES = 9
LOOP_S = CAMERAS[0].length
FPS = 25

# Delay of every tile now, in seconds, and when: [[cells of the band, wall clock], ...].
LOOK_JS = """() => [...document.querySelectorAll('video')].map((video, i) => {
    video.id = 'tile' + i;
    return [(%s)('#tile' + i), Date.now() / 1000];
})""" % BAND_JS

GRID_JS = """async streams => {
    const { LiveGrid } = await import('/static/live.js');
    document.body.replaceChildren(...streams.map(() => {
        const video = document.createElement('video');
        video.width = 320;
        return video;
    }));
    window.grid = new LiveGrid(streams, [...document.querySelectorAll('video')]);
}"""

STATS_JS = "grid.tiles.map(tile => ({...tile.stats, state: tile.state, ready: tile.video.readyState}))"


@pytest.fixture(scope="module")
def wall(build):
    lab = Lab(build)
    try:
        camera = lab.camera(*CAMERAS)
        keepframe = lab.keepframe()
        keepframe.configure({
            f"{mount.name}{copy}": {"url": camera.url(mount.name)}
            for mount in CAMERAS for copy in range(TILES // len(CAMERAS))}).start().wait_ready()
        keepframe.streams = [f"{mount.name}{copy}/main"
                             for copy in range(TILES // len(CAMERAS)) for mount in CAMERAS]
        for name in keepframe.streams:
            keepframe.wait_open(name.split("/")[0])
        yield lab, keepframe
    finally:
        lab.close()


def delays(page):
    """Seconds from the camera's clock to the screen, tile by tile; None where there is no picture."""
    found = []
    for cells, now in page.run(LOOK_JS):
        number = number_in(cells) if cells else None
        found.append(None if number is None else
                     (now - number / FPS + LOOP_S / 2) % LOOP_S - LOOP_S / 2)
    return found


def watch(page, seconds):
    """All delays of so many seconds, tile by tile, five looks a second."""
    seen = [[] for _ in range(TILES)]
    page.run("() => { window.begun = performance.now(); }")
    while page.evaluate("(performance.now() - begun) / 1000") < seconds:
        for tile, delay in enumerate(delays(page)):
            if delay is not None:
                seen[tile].append(delay)
        page.evaluate("new Promise(done => setTimeout(done, 150))")
    return seen


def tell(title, seen, page):
    print(f"\n{title}: seconds from the camera's clock to the screen")
    for tile, values in enumerate(seen):
        ordered = sorted(values)
        print(f"  tile {tile}: median {statistics.median(ordered):.3f}, "
              f"p95 {ordered[int(len(ordered) * 0.95)]:.3f}, most {ordered[-1]:.3f}, "
              f"{len(ordered)} looks")
    print(f"  {page.evaluate(STATS_JS)}")


def wait_fresh(page, what):
    """Until every tile has shown a picture that was less than a second old."""
    least = [LOOP_S] * TILES
    for _ in range(400):
        least = [then if now is None else min(now, then)
                 for now, then in zip(delays(page), least)]
        if max(least) < 1:
            return
        page.evaluate("new Promise(done => setTimeout(done, 150))")
    raise AssertionError(f"waited in vain until {what}; least delays {least}, "
                         f"{page.evaluate(STATS_JS)}")


def rate_needed(keepframe):
    """Bytes a second of all tiles together."""
    with MuxClient(keepframe, keepframe.streams) as client:
        client.read_until(lambda piece: client.media() and
                          client.media()[-1].end - client.media()[0].start > 3)
        pieces = [piece for tile in range(TILES) for piece in client.media(tile)]
        return sum(len(piece.body) for piece in pieces) / (
            client.media()[-1].end - client.media()[0].start)


def test_nine_tiles_are_less_than_a_second_old_and_stand_half_a_link(wall, is_long):
    """The page comes through a proxy that lets everything through, then half of what is needed,
    then all again."""
    lab, keepframe = wall
    rate = rate_needed(keepframe)
    with SlowLink(keepframe.address(), None) as link, Browser(lab) as browser:
        page = browser.open(f"http://{link.address}/healthz")
        page.run(GRID_JS, keepframe.streams)
        wait_fresh(page, "all tiles are fresh")
        before = page.evaluate(STATS_JS)
        seen = watch(page, 120 if is_long else 4)
        tell("nine tiles", seen, page)
        after = page.evaluate(STATS_JS)
        assert all(tile["state"] == "recording" and tile["rebuilds"] == 0 for tile in after)
        assert all(now["pieces"] > then["pieces"] for now, then in zip(after, before))
        if is_long:
            assert all(statistics.median(values) < 1 for values in seen)
            assert all(now["stalled"] - then["stalled"] < 0.1 for now, then in zip(after, before))
        link.rate = rate / 2
        begun = page.evaluate(STATS_JS)
        tell("over half of the link that is needed", watch(page, 60 if is_long else 5), page)
        end = page.evaluate(STATS_JS)
        assert all(now["pieces"] > then["pieces"] for now, then in zip(end, begun)), "one was starved"
        link.release()
        page.run("() => { window.released = performance.now(); }")
        wait_fresh(page, "all tiles are fresh again")
        took = page.evaluate("(performance.now() - released) / 1000")
        print(f"fresh again {took:.1f} s after the release")
        assert page.problems() == []
        assert not is_long or took < 10


def test_the_page_shows_all_cameras(wall):
    lab, keepframe = wall
    with Browser(lab) as browser:
        page = browser.open()
        page.call("Page.setBypassCSP", {"enabled": False})  # what the page may do is tested too
        page.go(keepframe.url("/"))
        page.wait_for("the cameras are listed", "document.querySelectorAll('#cameras li').length >= 9")
        page.evaluate("document.querySelector('#live-toggle').click()")
        page.wait_for("nine pictures move", """[...document.querySelectorAll('#live video')]
            .filter(video => video.currentTime > 0 && !video.paused && video.videoWidth).length === 9""")
        page.evaluate("document.querySelector('#live-toggle').click()")
        page.wait_for("they are gone", "document.querySelectorAll('#live video').length === 0")
        keepframe.wait_for("nobody watches any more", lambda: "keepframe_live_clients 0" in
                           keepframe.get("/metrics").body.decode())
        assert page.problems() == []
