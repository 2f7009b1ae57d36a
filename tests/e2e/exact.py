"""Asks for a range and compares the answer with what it must hold (expected.py): every packet, its
times and flags, the edit lists, the headers; and what ffmpeg and ffprobe make of it."""

import hashlib

import expected
import media
from times import format_utc, parse_utc


def random_span(sources, chance):
    """Any range; often at a place where something happens."""
    first, last = sources[0].start_us, sources[-1].end_us
    places = [at for s in sources for at in (s.start_us, s.end_us)]

    def moment():
        if chance.random() < 0.6:
            return chance.choice(places) + chance.choice(
                (-1, 0, 1, chance.randint(-3_000_000, 3_000_000)))
        source = chance.choice(sources)
        return chance.randint(source.start_us, source.end_us)

    start = moment()
    if chance.random() < 0.3:
        end = start + chance.choice((1, 30_000, chance.randint(1, 20_000_000)))
    else:
        end = moment()
    start, end = (min(max(at, first - 1_000_000), last + 1_000_000) for at in sorted((start, end)))
    return start, max(end, start + 1)


def check(keepframe, camera, sources, start_us, end_us, options, path):
    answer = keepframe.download(camera, start=format_utc(start_us), end=format_utc(end_us),
                                **options)
    if "codec" in options:
        sources = expected.chosen(sources, options["codec"])
    if options.get("gaps") == "fail" and check_gaps(answer, sources, start_us, end_us):
        return
    try:
        wanted = expected.expect(sources, start_us, end_us, options["audio"] == 1,
                                 options["start_at"] == "keyframe")
    except expected.NoFootage:
        assert answer.status == 404, f"{answer.status} where there is no footage"
        return
    except expected.CodecChange:
        assert answer.status == 409, f"{answer.status} where the codec changes"
        return
    assert len(answer.expect(200).body) == int(answer.headers["Content-Length"])
    movie = media.Movie(answer.body)
    check_track(movie, "video", wanted.video, 0)
    check_track(movie, "audio", wanted.audio, 1)
    check_edits(movie, wanted)
    check_headers(answer, wanted)
    check_map(keepframe, camera, {"start": format_utc(start_us), "end": format_utc(end_us),
                                  **options}, wanted)
    path.write_bytes(answer.body)
    check_read(path, wanted)
    # Where a file begins inside an open group of pictures, ffmpeg says that of what is hidden.
    complaints = [line for line in media.decode_complaints(path).splitlines()
                  if not line.endswith("mmco: unref short failure")]
    assert not complaints or wanted.orphaned(), f"ffmpeg complains: {complaints}"


def check_gaps(answer, sources, start_us, end_us):
    """With gaps=fail. Whether there are some, which it then names."""
    gaps = expected.gaps(sources, start_us, end_us)
    if not gaps or answer.status == 404:
        return False
    ranges = [(parse_utc(one["start"]), parse_utc(one["end"]))
              for one in answer.expect(409).json["error"]["ranges"]]
    assert answer.json["error"]["code"] == "gaps" and ranges == gaps, f"{ranges}, not {gaps}"
    return True


def check_track(movie, kind, wanted, tolerance):
    track = movie.track(kind)
    assert (track is not None) == bool(wanted), f"{kind}: there is a track: {track is not None}"
    if track is None:
        return
    entries = [hashlib.md5(box).hexdigest() for box in track.entry_boxes]
    got = [expected.Packet(movie.hash_of(s), s.dts, s.pts, s.duration, s.key, entries[s.entry])
           for s in track.samples]
    for index, (one, other) in enumerate(zip(got, wanted)):
        assert (one.hash, one.key, one.entry) == (other.hash, other.key, other.entry), \
            f"{kind} sample {index} of {len(got)} ({len(wanted)} wanted): {one}, not {other}"
        assert max(abs(one.dts - other.dts), abs(one.pts - other.pts),
                   abs(one.duration - other.duration)) <= tolerance, \
            f"{kind} sample {index} of {len(got)} stands at another time: {one}, not {other}"
    assert len(got) == len(wanted), f"{kind}: {len(got)} samples, not {len(wanted)}"
    times = [packet.pts for packet in got]
    assert len(set(times)) == len(times), f"{kind}: two samples are shown at one time"


def check_edits(movie, wanted):
    video, audio = movie.track("video"), movie.track("audio")
    assert video.shown_ticks() == wanted.shown, f"shown: {video.shown_ticks()}, not {wanted.shown}"
    assert video.delay_s() == 0, "the picture begins late"
    if not audio:
        return
    assert abs(audio.delay_s() * wanted.video_scale - wanted.delay) <= 1, \
        f"the sound begins {audio.delay_s()} s late, not {wanted.delay / wanted.video_scale}"
    for got, at in zip(audio.shown_ticks(), wanted.heard):
        assert abs(got - at) <= 1, f"heard: {audio.shown_ticks()}, not {wanted.heard}"


def check_headers(answer, wanted):
    said = {name: parse_utc(answer.headers[f"X-Keepframe-{name}"]) for name in ("Start", "End")}
    assert said["Start"] == wanted.start_us, f"it starts at {wanted.start_us}, not as it says {said}"
    assert abs(said["End"] - wanted.end_us) <= 12, \
        f"it ends at {wanted.end_us}, not as it says {said}"
    lead_in_ms = int(answer.headers["X-Keepframe-Lead-In-Ms"])
    assert abs(lead_in_ms - wanted.lead_in * 1000 / wanted.video_scale) <= 0.51, \
        f"it has {wanted.lead_in} ticks of lead-in, not {lead_in_ms} ms"
    skipped_ms = int(answer.headers["X-Keepframe-Skipped-Ms"])
    assert abs(skipped_ms - wanted.skipped_us / 1000) <= 0.51, \
        f"it leaves {wanted.skipped_us} us out, not {skipped_ms} ms"
    silence_ms = int(answer.headers["X-Keepframe-Silence-Ms"])
    silence = wanted.silence / wanted.audio_scale if wanted.audio else 0
    assert abs(silence_ms - silence * 1000) <= 1.01, f"{silence} s are silent, not {silence_ms} ms"


# --- The map


def read_map(keepframe, camera, params, limit):
    """The whole map, page by page."""
    whole, cursor = None, None
    while whole is None or cursor is not None:
        page = keepframe.get(f"/api/v1/cameras/{camera}/main/map",
                             {**params, "limit": limit, "cursor": cursor}).expect(200).json
        cursor = page["cursor"]
        if whole is None:
            whole = page
        else:
            for name in ("pieces", "gaps", "overlaps", "silence"):
                whole[name] += page[name]
    return whole


def check_map(keepframe, camera, params, wanted):
    got = read_map(keepframe, camera, params, 1000)
    spans = {name: [(one["media"], parse_utc(one["start"]), parse_utc(one["end"]))
                    for one in got[name]] for name in ("pieces", "gaps", "overlaps")}
    pieces = spans["pieces"]
    begin, end = wanted.shown
    assert abs(got["duration"] - (end - begin) / wanted.video_scale) < 2e-6
    ends = [*(media for media, _, _ in pieces[1:]), got["duration"]]
    shown = {}  # each recorded picture that is shown, by its segment
    for placed in wanted.placed:
        source = placed.source
        for packet in source.video[placed.first:placed.first + placed.count]:
            at = packet.pts + placed.origin
            if begin <= at < end:
                shown.setdefault(source.id, []).append(at)
                media = (at - begin) / wanted.video_scale
                index = max((i for i, piece in enumerate(pieces) if piece[0] <= media + 2e-6),
                            default=None)
                assert index is not None, f"{media} s stands before the map"
                since, start_us, end_us = pieces[index]
                assert got["pieces"][index]["segment"] == source.id, \
                    f"{media} s is of {source.id}, not of {got['pieces'][index]['segment']}"
                told = start_us + (media - since) * (end_us - start_us) / (ends[index] - since)
                assert abs(told - source.wall_time(packet.pts)) <= 1e6 / wanted.video_scale + 2, \
                    f"{media} s was at {source.wall_time(packet.pts)}, not at {told}"
    assert set(shown) <= {piece["segment"] for piece in got["pieces"]}
    check_steps(pieces, spans)
    silence = sum(one["duration"] for one in got["silence"])
    wanted_s = wanted.silence / wanted.audio_scale if wanted.audio else 0
    frame_s = expected.FRAME[b"Opus"] / 48000 if wanted.audio_scale == 48000 else 1024 / 8000
    assert abs(silence - wanted_s) <= frame_s * len(got["silence"]), \
        f"{wanted_s} s are silent, not {silence}"
    if len(pieces) > 2:
        paged = read_map(keepframe, camera, params, 2)
        assert [paged[name] for name in ("pieces", "gaps", "silence")] == \
            [got[name] for name in ("pieces", "gaps", "silence")]


def check_steps(pieces, spans):
    """What is left out, and what is shown twice, by the pieces' own times."""
    gaps, twice, covered = [], 0, [pieces[0][1:]]
    for media, start_us, end_us in pieces[1:]:
        until = max(end for _, end in covered)
        if start_us > until + 200_000:
            gaps.append((media, until, start_us))
        if start_us < until:
            twice += min(end_us, until) - start_us
        covered.append((start_us, end_us))
    assert spans["gaps"] == gaps, f"gaps {spans['gaps']}, not {gaps}"
    told = sum(end - start for _, start, end in spans["overlaps"])
    # What overlaps by less than 200 ms is none.
    assert twice - 200_000 * len(pieces) <= told <= twice, f"{twice} us are shown twice, not {told}"


def check_read(path, wanted):
    """ffprobe finds the same packets and hides the same ones."""
    for kind, packets in (("video", wanted.video), ("audio", wanted.audio)):
        if not packets:
            continue
        got = media.packets(path, kind)
        assert [(p.hash, p.key) for p in got] == [(p.hash, p.key) for p in packets], \
            f"ffprobe finds other {kind} packets"
