"""What the camera sent is what is kept: every packet, once, in order, in plain, playable files."""

import re

import pytest

import media
from conftest import FINISHED
from expected import SILENCE, md5
from model import Footage

RECORDED_S = 29  # 30 s less what the first key frame may have cost

finished = pytest.mark.parametrize("name", FINISHED)
with_audio = pytest.mark.parametrize("name", [n for n, m in FINISHED.items() if m.audio])


@pytest.fixture(scope="module")
def whole(recording, tmp_path_factory):
    """A function that downloads all of a camera's footage once, as a file."""
    folder = tmp_path_factory.mktemp("whole")

    def download(name):
        path = folder / f"{name}.mp4"
        if not path.exists():
            rows = recording.keepframe.sealed(name)
            answer = recording.keepframe.download(
                name, start=rows[0].start_us / 1e6, end=f"{rows[-1].end_us / 1e6:.6f}")
            path.write_bytes(answer.expect(200).body)
        return path
    return download


def files_of(recording, name):
    return [recording.keepframe.segment_file(row) for row in recording.keepframe.sealed(name)]


@finished
def test_a_download_holds_every_video_packet_once_and_in_order(recording, whole, name):
    segments = [packet for path in files_of(recording, name) for packet in media.frame_hashes(path)]
    assert len(segments) > RECORDED_S * 25
    assert media.frame_hashes(whole(name)) == segments


@with_audio
def test_a_download_holds_every_audio_packet_once_and_in_order(recording, whole, name):
    segments = [packet for path in files_of(recording, name)
                for packet in media.frame_hashes(path, "audio")]
    assert len(segments) > (RECORDED_S - 2) * 48000 / 1024
    # The footage ends with its last picture; sound that begins after that is not asked for.
    sound = Footage(recording.keepframe, name, "audio")
    end_us = Footage(recording.keepframe, name).end_us
    behind = sum(frame.start_us >= end_us - 5_000 for frame in sound.frames)
    assert behind <= 50
    # Where none was sent (it began late, say), there is silence.
    silence = {md5(data) for data in SILENCE.values()}
    got = [found for found in media.frame_hashes(whole(name), "audio") if found not in silence]
    assert got == segments[:len(got)] and len(segments) - behind <= len(got)


@finished
def test_the_segments_hold_what_the_camera_sent(recording, name):
    mount = recording.mounts[name]
    sent = mount.sent_pictures(recording.keepframe.lab.build)
    kept = [picture for path in files_of(recording, name)
            for picture in media.picture_hashes(path, mount.codec)]
    assert kept[0] in sent, "the first picture is none of the camera's"
    begin = sent.index(kept[0])
    looped = (sent * 2)[begin:begin + len(kept)]
    assert kept == looped


@finished
def test_each_segment_is_a_plain_mp4(recording, name):
    for path in files_of(recording, name):
        types = media.top_types(path)
        assert types.count("moov") == 1 and "moof" not in types, f"{path.name}: {types}"


@finished
def test_each_segment_decodes_without_a_complaint(recording, name):
    complaints = {path.name: media.decode_complaints(path) for path in files_of(recording, name)}
    assert not {name: text for name, text in complaints.items() if text}


@finished
def test_each_segment_lasts_as_long_as_it_says(recording, name):
    for row in recording.keepframe.sealed(name):
        path = recording.keepframe.segment_file(row)
        length = (row.end_us - row.start_us) / 1e6
        video = media.Movie(path).track("video")
        shown = media.packets(path)
        frame = 1 / 25
        assert float(media.probe(path)["format"]["duration"]) == pytest.approx(length, abs=0.1)
        assert video.length_s() == pytest.approx(length, abs=frame), path.name
        assert len([p for p in shown if not p.hidden]) == len(video.samples), path.name


@finished
def test_each_segment_can_be_seeked(recording, name):
    for path in files_of(recording, name):
        video = media.Movie(path).track("video")
        moments = [video.delay_s() + at_s for _, at_s in video.shown()]
        for expected in (moments[len(moments) * 3 // 10], moments[len(moments) * 8 // 10]):
            found = media.picture_after_seek(path, expected - 0.01)
            assert found == pytest.approx(expected, abs=0.002), path.name


@finished
def test_segments_of_a_run_follow_each_other_without_a_hole(recording, name):
    rows = recording.keepframe.sealed(name)
    for this, following in zip(rows, rows[1:]):
        assert following.run == this.run
        assert following.number == this.number + 1
        # ffmpeg guesses how long a file's last frame lasts; the next one says how long it did.
        assert 0 <= following.start_us - this.end_us < 2_000


def test_frames_stand_at_the_time_at_which_they_were_seen(recording):
    """The picture's frame n was taken at UTC n / 25 s, modulo the loop."""
    mount = recording.mounts["silent"]
    sent = {picture: index for index, picture
            in enumerate(mount.sent_pictures(recording.keepframe.lab.build))}
    # The hash of frames in decoding order; key frames are first of their group in both orders.
    for row in recording.keepframe.sealed("silent"):
        movie = media.Movie(recording.keepframe.segment_file(row))
        first = movie.track("video").samples[0]
        index = sent[media.picture_hash(movie.bytes_of(first), mount.codec)]
        taken_s, loop_s = index / 25, mount.length
        late = (row.start_us / 1e6 - taken_s + loop_s / 2) % loop_s - loop_s / 2
        assert -0.2 < late < 0.8, f"{row.id} stands {late:.3f} s after it was seen"


@finished
def test_files_are_named_by_local_time_for_people(recording, name):
    name_form = re.compile(r"(\d{4}-\d\d-\d\d)_\d\d-\d\d-\d\d\.\d{3}[+-]\d{4}\.mp4")
    rows = recording.keepframe.sealed(name)
    assert len(recording.keepframe.volume_files(name)) == len(rows)
    for row in rows:
        path = recording.keepframe.segment_file(row)
        match = name_form.fullmatch(path.name)
        assert match and path.parent.name == match[1], path
        assert path.stat().st_size == row.bytes


@finished
def test_a_finished_run_leaves_nothing_in_the_cache(recording, name):
    recording.keepframe.wait_for("run files are taken in", lambda: not recording.keepframe
                                 .cache_files(name, suffix=".json"))
    left = [path.name for path in recording.keepframe.cache_files(name, suffix="")]
    assert not [one for one in left if not one.startswith(".")]  # the last run's number stays


def test_the_catalog_tells_what_each_track_is(recording):
    expected = {"avc": "avc1.", "bframes": "avc1.", "hevc": "hvc1.", "silent": "avc1."}
    for name, codec in expected.items():
        for row in recording.keepframe.sealed(name):
            video, audio = row.track("video"), row.track("audio")
            assert video["codec"].startswith(codec)
            assert (video["width"], video["height"]) == (320, 180)
            assert (audio["codec"] == "mp4a.40.2") if recording.mounts[name].audio else not audio
        assert sum(row.track("video")["samples"] for row in recording.keepframe.sealed(name)) \
            == len(Footage(recording.keepframe, name).frames)
