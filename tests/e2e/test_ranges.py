"""Random ranges over a mixed archive: every packet, its times and flags, the edit lists and the
headers are what the written rules say."""

import random

from exact import check, random_span
from times import format_utc

RANGES, RANGES_LONG = 40, 500


def test_random_ranges_hold_what_they_should(mixed, is_long, tmp_path):
    print(f"random choices: --seed {mixed.seed}")
    chance = random.Random(mixed.seed)
    for number in range(RANGES_LONG if is_long else RANGES):
        camera = chance.choice(list(mixed.sources))
        sources = mixed.sources[camera]
        start_us, end_us = random_span(sources, chance)
        options = {"audio": chance.choice((1, 1, 0)),
                   "start_at": chance.choice(("exact", "exact", "keyframe"))}
        if chance.random() < 0.2:
            options["gaps"] = "fail"
        if chance.random() < (0.7 if camera == "changing" else 0.1):
            options["codec"] = chance.choice(("h264", "h265", "av1", "aac", "opus"))
        try:
            check(mixed.keepframe, camera, sources, start_us, end_us, options,
                  tmp_path / "range.mp4")
        except AssertionError as error:
            raise AssertionError(
                f"--seed {mixed.seed}, range {number}: {camera}, start={format_utc(start_us)} "
                f"end={format_utc(end_us)} {options}: {error}") from error
