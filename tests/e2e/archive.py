"""Filed footage without a camera: segments of the corpus, put into the cache as a recorder's, and
what is asked of the archive by `keepframe-indexer`."""

import json
import sqlite3
import subprocess
import time
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[1] / "corpus"


def put_run(keepframe, camera, corpus, run, stream="main", ended=True):
    """The two segments of a corpus file as one run of the stream, and its run file."""
    folder = keepframe.cache / camera / stream
    folder.mkdir(parents=True, exist_ok=True)
    story = {"version": 1, "camera": camera, "stream": stream, "run": run, "node": "attic",
             "start_us": run * 1000, "end_us": run * 1000 + 5_000_000 if ended else None,
             "reason": "closed" if ended else None, "detail": "the camera said goodbye"}
    (folder / "story.tmp").write_text(json.dumps(story))
    (folder / "story.tmp").rename(folder / f"{run}.json")
    for number in range(2):
        data = (CORPUS / f"{corpus}-{number:06}.mp4").read_bytes()
        (folder / f"{run}-{number:06}.mp4").write_bytes(data)
    return [f"{camera}/{stream}/{run}-{number:06}" for number in range(2)]


def fill(keepframe, camera="yard", corpus="h264-b-aac", runs=1):
    """So many runs of a camera, a minute apart, waited for until they are filed. Their identities."""
    now = time.time_ns() // 60_000_000_000 * 60_000
    identities = [identity for index in range(runs)
                  for identity in put_run(keepframe, camera, corpus, now + index * 60_000)]
    wait_filed(keepframe, camera)
    return identities


def wait_filed(keepframe, camera):
    keepframe.wait_for(f"all of {camera} is filed", lambda: not [
        *keepframe.cache_files(camera), *keepframe.cache_files(camera, suffix=".json")])


def indexer(keepframe, *words, env=None):
    """`keepframe-indexer WORDS...`, run to its end."""
    return subprocess.run(
        [keepframe.lab.build.program("keepframe-indexer"), *map(str, words), "-c",
         str(keepframe.config), "--data", str(keepframe.data)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        cwd=keepframe.folder, env=env or keepframe.lab.env(), timeout=120)


# --- What a catalog holds, without its own numbers: two that say the same compare equal

SEGMENTS = """
    SELECT camera, stream.stream, run, first_number + nth, start_us, duration_us, size_bytes,
        volume.uuid, volume.path, media_offset, utc_offset_s, hex(video.entry), video_timescale,
        hex(audio.entry), audio_timescale, hex(packed), key
    FROM segment JOIN stretch ON stretch.id = stretch_id JOIN stream ON stream.id = segment.stream_id
    JOIN volume ON volume.id = volume_id LEFT JOIN codec video ON video.id = video_codec_id
    LEFT JOIN codec audio ON audio.id = audio_codec_id
    LEFT JOIN segment_key USING (stream_id, start_us) ORDER BY 1, 2, 3, 4"""

SUMS = """
    SELECT camera, stream.stream, hour, covered_us, rollup.bytes, segments, stream_total.bytes,
        first_us, last_us, longest_us
    FROM rollup JOIN stream ON stream.id = stream_id JOIN stream_total USING (stream_id)
    ORDER BY 1, 2, 3"""

RUNS = """
    SELECT camera, stream.stream, run, start_us, end_us, reason, detail, footage_start_us,
        footage_end_us
    FROM run JOIN stream ON stream.id = stream_id ORDER BY 1, 2, 3"""

OUTAGES = """
    SELECT camera, stream.stream, run, start_us, end_us, reason, detail, attempts, last_reason,
        last_detail
    FROM outage JOIN stream ON stream.id = stream_id ORDER BY 1, 2, 3"""


def frames_of(keepframe):
    """Every packed table with its hash, by identity."""
    streams = dict((number, f"{camera}/{stream}") for number, camera, stream in
                   keepframe.catalog("SELECT id, camera, stream FROM stream"))
    rows = []
    for path in sorted(keepframe.data.glob("frames-*.db")):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            rows += [(path.name, streams[stream], *rest) for stream, *rest in connection.execute(
                "SELECT stream_id, run, number, hash, packed FROM frames")]
        connection.close()
    return sorted(rows)


def footage_of(keepframe):
    return {"segments": keepframe.catalog(SEGMENTS), "sums": keepframe.catalog(SUMS),
            "frames": frames_of(keepframe)}


def forget_catalog(keepframe):
    for pattern in ("catalog.db*", "frames-*.db*"):
        for path in keepframe.data.glob(pattern):
            path.unlink()
