"""What is being recorded: finished and growing files of the cache, and what is archived before
them, in one range that is exact."""

import os
import signal
import time

import pytest

import exact
from expected import Recorded, Source
from footage import Feed, Run
from lab import Lab
from mixed import Filled
from times import format_utc

RANGES = 12


@pytest.fixture(scope="module")
def growing(build):
    """A camera with archived footage, two closed segments and one that is open, which the recorder
    has stopped to write; the indexer holds still, so that nothing moves."""
    lab = Lab(build)
    feed = indexer = None
    try:
        filled = Filled(lab, time.time_ns() % 1_000_000)
        old = filled.recorder.write(Run("yard", time.time_ns() // 1000 - 90_000_000, "bframes",
                                        "mono16", (2, 2), reorder=2))
        filled.fill(old)
        keepframe = filled.keepframe
        indexer = keepframe.program_pid("keepframe-indexer")
        os.kill(indexer, signal.SIGSTOP)
        now = filled.recorder.write(Run("yard", time.time_ns() // 1000, "largeband", "mono16",
                                        (2, 2, 2), reorder=1, silences=((1, 1.3),)))
        feed = Feed(keepframe.cache, now)
        feed.run()
        yield keepframe, placed(keepframe, old, now)
    finally:
        if indexer:
            os.kill(indexer, signal.SIGCONT)
        if feed:
            feed.close()
        lab.close()


def placed(keepframe, old, now):
    """The segments where the API says that they are."""
    rows = {row.id: row for row in keepframe.segments("yard")}
    assert [row.state for row in rows.values()] == ["sealed"] * len(old) + \
        ["closed"] * (len(now) - 1) + ["open"]
    return [Source(Recorded(s.id, rows[s.id].start_us, rows[s.id].end_us, s.path))
            for s in old + now]


def test_ranges_over_sealed_closed_and_open_segments_are_exact(growing, chance, tmp_path):
    keepframe, sources = growing
    for _ in range(RANGES):
        start_us, end_us = exact.random_span(sources, chance)
        options = {"audio": chance.choice((1, 0)), "start_at": "exact"}
        try:
            exact.check(keepframe, "yard", sources, start_us, end_us, options,
                        tmp_path / "range.mp4")
        except AssertionError as error:
            raise AssertionError(f"start={format_utc(start_us)} end={format_utc(end_us)} "
                                 f"{options}: {error}") from error


def test_an_end_in_the_future_is_the_last_whole_fragment(growing, tmp_path):
    keepframe, sources = growing
    exact.check(keepframe, "yard", sources, sources[0].start_us + 300_000,
                time.time_ns() // 1000 + 3_600_000_000, {"audio": 1, "start_at": "exact"},
                tmp_path / "range.mp4")
