"""Many streams at once: a third of the recorders die together, the camera freezes, the indexer is
killed. All come back, and whatever a recorder had finished is in the catalog and on the disk.
The long form has five hundred streams."""

import pytest

from crowd import Crowd, Crowdcam, make_clip

STREAMS, STREAMS_LONG = 30, 500
FPS, FPS_LONG = 10, 1  # how many frames ffmpeg looks at before it records is a count


@pytest.fixture
def crowd(lab, build, is_long):
    count, fps = (STREAMS_LONG, FPS_LONG) if is_long else (STREAMS, FPS)
    build.camera_cache.mkdir(exist_ok=True)
    clip = make_clip(build.camera_cache / f"crowd-{fps}fps.h264", "64x48", fps, max(fps, 5), 60)
    crowd = Crowd(lab, Crowdcam(lab, clip, fps), count,
                  {"segment": "60s" if is_long else "3s", "timeout": "5s" if is_long else "1s"})
    crowd.keepframe.start()
    crowd.wait_all_record(timeout=300)
    return crowd


def test_a_crowd_survives_deaths_a_frozen_camera_and_a_killed_indexer(crowd, chance):
    timeout = 120 + len(crowd.names)

    struck = chance.sample(crowd.names, len(crowd.names) // 3)
    before = crowd.kill_recorders(struck)
    crowd.wait_back(before, struck, timeout)
    after = crowd.streams()
    assert {name for name, row in after.items() if row["restarts"]} == set(struck)
    assert all(row["restarts_by_reason"] == ({"killed": 1} if name in struck else {})
               for name, row in after.items())
    assert all(after[name]["pid"] == before[name] for name in crowd.names if name not in struck)

    crowd.camera.stall()
    crowd.wait_none_records(timeout)
    crowd.camera.resume()
    crowd.keepframe.kill_program("keepframe-indexer")
    rows = crowd.wait_all_record(timeout)
    assert all(sum(row["restarts_by_reason"].values()) >= 1 + (name in struck)
               for name, row in rows.items())
    crowd.keepframe.wait_program("keepframe-indexer")

    assert len(crowd.closes.finished) >= len(crowd.names)
    crowd.wait_filed(timeout)
    without_row, without_file = crowd.lost()
    assert not without_row, f"finished, but not in the catalog: {without_row}"
    assert not without_file, f"in the catalog, but no file carries it: {without_file}"
