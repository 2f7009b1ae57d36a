"""A Keepframe with a mixed archive (tests/tools/layout.py), and what was recorded into it."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import footage
import layout
from archive import indexer
from expected import Source

DAY = 86_400 * 1_000_000


class Filled:
    """A Keepframe with two volumes, which fill() fills and starts. `sources` are then the segments
    of each camera, as they were recorded, in order of time."""

    def __init__(self, lab, seed):
        self.lab = lab
        self.seed = seed
        self.chance = random.Random(seed)
        self.keepframe = keepframe = lab.keepframe()
        keepframe.data.mkdir()
        self.volumes = [keepframe.data / name for name in ("video", "more")]
        for number, path in enumerate(self.volumes):
            footage.mark_volume(path, number)
        keepframe.configure({}, storage={"volumes": [
            {"path": str(path), "min_free": "1MiB"} for path in self.volumes]})
        self.recorder = footage.Recorder(clips(lab.build), lab.folder / "recorded", self.chance)

    def fill(self, segments):
        footage.seal(self.lab.build.tool("sealer"), segments, self.volumes, self.lab.env())
        done = indexer(self.keepframe, "reindex")
        assert done.returncode == 0 and f"{len(segments)} segments" in done.stderr, done.stderr
        self.keepframe.start().wait_answering()
        self.sources = by_camera(segments)


class Mixed(Filled):
    """Everything that there can be."""

    def __init__(self, lab, seed):
        super().__init__(lab, seed)
        start_us = time.time_ns() // 1000 - 5 * DAY
        joins, self.begins = layout.write_joins(self.recorder, start_us)
        self.fill(layout.write_mixed(self.recorder, self.chance, start_us) + joins)


def clips(build):
    return footage.Clips(build.folder / "footage-clips")


def by_camera(segments):
    with ThreadPoolExecutor(2) as pool:
        sources = sorted(pool.map(Source, segments), key=lambda source: source.start_us)
    cameras = {segment.camera for segment in segments}
    return {camera: [source for source in sources if source.segment.camera == camera]
            for camera in sorted(cameras)}
