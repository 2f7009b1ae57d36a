"""Filed footage without a camera: segments of the corpus, put into the cache as a recorder's, and
what is asked of the archive by `keepframe-indexer`."""

import json
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
    (folder / f"{run}.json").write_text(json.dumps(story))
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
