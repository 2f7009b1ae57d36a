"""A browser plays a range, and seeks in it."""

from archive import fill
from browser import Browser, Player
from times import format_utc


def test_chromium_plays_a_range_and_seeks_in_it(lab):
    keepframe = lab.keepframe().configure({"yard": {"url": "rtsp://127.0.0.1:1/"}}).start()
    keepframe.wait_ready()
    fill(keepframe)
    rows = keepframe.sealed("yard")
    span = {"start": format_utc(rows[0].start_us), "end": format_utc(rows[-1].end_us)}
    with Browser(lab) as browser:
        page = browser.open(keepframe.url("/healthz"))
        player = Player(page, keepframe.url("/video/yard/main.mp4", span))
        state = player.state()
        assert (state["width"], state["height"]) == (64, 64)
        assert abs(state["duration"] * 1e6 - (rows[-1].end_us - rows[0].start_us)) < 40_000
        player.seek(4.5)
        assert player.state()["time"] == 4.5
        player.seek(1)
        pictures = player.play(rate=4)
        assert player.state()["ended"]
        assert 0.96 <= pictures[0].time < 2 and pictures[-1].time > 5.5
        assert page.problems() == []
