"""Footage beyond four gibibytes, in sparse files: sizes and places have no 32 bits."""

import struct

import media
from archive import CORPUS, put_run, wait_filed
from times import format_utc

MORE = 700 << 20  # zeroes behind each fragment's last sample
RUN = 1_774_958_400_000


def grow(path, data):
    """The segment `data` at `path`, each fragment's last sample longer by MORE and ended by its own
    sixteen bytes. What these are."""
    marks = []
    with open(path, "wb") as out:
        for box in media.boxes_in(data):
            piece = bytearray(data[box.offset:box.offset + box.size])
            if box.type == "moof":  # its trun's last word is that sample's size
                struct.pack_into(">I", piece, box.size - 4,
                                 struct.unpack_from(">I", piece, box.size - 4)[0] + MORE)
            elif box.type == "mdat":
                struct.pack_into(">I", piece, 0, box.size + MORE)
            out.write(piece)
            if box.type == "mdat":
                marks.append(f"{path.stem[-6:]} mark {len(marks):4}".encode())
                assert len(marks[-1]) == 16
                out.seek(MORE - 16, 1)
                out.write(marks[-1])
    return marks


def test_a_download_of_more_than_eight_gibibytes(lab):
    keepframe = lab.keepframe().configure({})
    put_run(keepframe, "yard", "h264", RUN)
    marks = []
    for path in keepframe.cache_files("yard"):
        marks += grow(path, (CORPUS / f"h264-{path.stem[-6:]}.mp4").read_bytes())
    keepframe.start().wait_ready()
    wait_filed(keepframe, "yard")
    rows = keepframe.sealed("yard")
    assert [row.number for row in rows] == [0, 1]
    assert all(row.bytes > 6 * MORE for row in rows)

    ask = {"start": format_utc(rows[0].start_us), "end": format_utc(rows[1].end_us)}
    length = int(keepframe.download("yard", method="HEAD", **ask).expect(200).headers["Content-Length"])
    assert length > 12 * MORE > 1 << 33

    def part(offset, size):
        answer = keepframe.download("yard", headers={"Range": f"bytes={offset}-{offset + size - 1}"},
                                    **ask).expect(206)
        assert answer.headers["Content-Range"] == f"bytes {offset}-{offset + size - 1}/{length}"
        return answer.body

    head = part(0, 1 << 20)
    moov = next(box for box in media.boxes_in(head[:64 << 10]) if box.type == "moov")
    samples = media.Movie(head[:moov.offset + moov.size]).track("video").samples
    large = [sample for sample in samples if sample.size > MORE]
    assert [part(sample.offset + sample.size - 16, 16) for sample in large] == marks
    assert large[-1].offset + large[-1].size == length
    # Over the bounds of 32 bits, to either side.
    for bound in (1 << 31, 1 << 32, 1 << 33):
        assert part(bound - 8, 16) == bytes(16)
    assert keepframe.download("yard", headers={"Range": f"bytes={length}-"}, **ask).status == 416
