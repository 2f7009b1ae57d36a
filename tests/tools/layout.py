"""Layouts of mixed archives: runs of every kind, chosen by chance."""

from dataclasses import replace

from footage import SOUNDS, Run

HOUR = 3600 * 1_000_000

# Cameras by what can stand in one file; "changing" has all that can not.
VIDEOS = {
    "avc": ("plain", "bframes", "open", "inband", "large", "largeband", "long", "slow"),
    "hevc": ("hevc", "hevclarge", "hevcband"),
    "av1": ("av1",),
    "changing": ("plain", "hevc", "av1", "largeband"),
}
AUDIO = {
    "avc": ("mono16", "stereo16", None), "hevc": ("stereo48", None), "av1": ("opus", None),
    "changing": (*(sound.name for sound in SOUNDS), None),
}
RUNS = {"avc": 12, "hevc": 6, "av1": 3, "changing": 8}


def silences(chance, seconds):
    """Holes in the sound: single packets, seconds, and sometimes the whole beginning."""
    found = []
    for _ in range(chance.randint(0, 4)):
        at = chance.uniform(0, seconds)
        found.append((at, at + chance.choice((0.03, 0.07, 0.13, 0.5, 2.5))))
    if chance.random() < 0.15:
        found.append((0, chance.uniform(0.5, 6)))
    return tuple(found)


def run_of(chance, camera, start_us):
    video = chance.choice(VIDEOS[camera])
    lengths = tuple(chance.choice((2, 3, 5)) for _ in range(chance.randint(1, 4)))
    back = (0, 0)
    if len(lengths) > 1 and chance.random() < 0.2:
        back = (chance.randrange(1, len(lengths)), chance.choice((900_003, 4_000_003, 9_000_003)))
    return Run(
        camera, start_us, video, chance.choice(AUDIO[camera]), lengths,
        bend=chance.choice((0, 0, 300, -400)),
        origin=chance.choice((0, 7, 123_456_789, 1 << 33)),
        jitter=chance.choice((0, 0, 200, 900)),
        reorder=chance.choice((0, 2, 3)),
        sound_late=chance.randint(-30, 70),
        sound_drift=chance.choice((0, 0, 60, -60)),
        silences=silences(chance, sum(lengths)),
        cut=chance.choice((0, 0, 1, 2, 3, 17)),
        set_back=back)


def pause_us(chance):
    """From the end of a run to the next one's beginning; less than nothing where they overlap."""
    return chance.choice((1, 40_000, 300_000, 5_000_000, 2 * HOUR + 12_345,
                          -300_000, -1_500_000, -6_000_000, -20_000_000))


# A run after the other, each with another kind of join before it: (pause before it, run).
SECOND = 1_000_000
JOINS = {
    "beginning": (0, Run("joins", 0, "plain", "mono16", (2, 2))),
    "run change": (1, Run("joins", 0, "plain", "mono16", (2, 2))),
    "gap": (300 * SECOND, Run("joins", 0, "plain", "mono16", (2, 2), reorder=2)),
    "larger": (40_000, Run("joins", 0, "large", "mono16", (2, 2))),
    "smaller": (40_000, Run("joins", 0, "plain", "mono16", (2, 2))),
    "larger, sets in band": (40_000, Run("joins", 0, "largeband", "mono16", (2, 2), reorder=1)),
    "smaller, sets in band": (40_000, Run("joins", 0, "inband", "mono16", (2, 2))),
    "reordered, with a hole": (40_000, Run("joins", 0, "bframes", "mono16", (3, 3), reorder=2,
                                           silences=((1, 1.07), (2.5, 4.5)))),
    "silence": (40_000, Run("joins", 0, "bframes", None, (2, 2), reorder=2)),
    "stereo": (40_000, Run("joins", 0, "bframes", "stereo16", (2, 2), reorder=2)),
    "long group": (40_000, Run("joins", 0, "long", "mono16", (5,))),
    "overlap": (-500_000, Run("joins", 0, "plain", "mono16", (2, 2))),
    "long overlap": (-3_000_000, Run("joins", 0, "bframes", "mono16", (2, 2), reorder=2, cut=2)),
    "after a cut": (40_000, Run("joins", 0, "bframes", "mono16", (2, 3), reorder=2,
                                set_back=(1, 1_500_003))),
}


def write_joins(recorder, start_us):
    """Segments of a camera that has every kind of join, and where its runs begin."""
    segments, at, begins = [], start_us, {}
    for name, (pause, run) in JOINS.items():
        at += pause
        begins[name] = at
        segments += recorder.write(replace(run, start_us=at))
        at = segments[-1].end_us
    return segments, begins


def write_mixed(recorder, chance, start_us):
    """Segments of all cameras; the first run of each begins at `start_us`."""
    segments = []
    for camera, count in RUNS.items():
        at = start_us
        for _ in range(count):
            written = recorder.write(run_of(chance, camera, at))
            segments += written
            at = max(written[-1].end_us + pause_us(chance), written[0].start_us + 1_000_000)
    return segments
