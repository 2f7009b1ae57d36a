"""What a picture of the test camera says: decodes the band that tests/tools/testcam_picture.c draws."""
import json
import subprocess

CELLS = 20


def number_in(cells):
    """The frame number in a band, from the mean luma of each cell; None if it is no such band."""
    bits = [int(luma > 128) for luma in cells]
    if bits[:2] != [1, 0] or bits[19] != 0 or sum(bits[2:19]) % 2 != 1:
        return None
    return int("".join(map(str, bits[2:18])), 2)


def band_number(luma, width):
    """The frame number in a band of `luma` bytes, `width` a line; None if it is no such band."""
    cell = width // CELLS & ~1
    cells = []
    for i in range(CELLS):
        middle = [
            luma[row * width + col]
            for row in range(cell // 4, cell - cell // 4)
            for col in range(i * cell + cell // 4, (i + 1) * cell - cell // 4)
        ]
        cells.append(sum(middle) / len(middle))
    return number_in(cells)


def bands(path, width, input_options=()):
    """Decodes a file and yields the number in each picture, in presentation order."""
    cell = width // CELLS & ~1
    command = ["ffmpeg", "-nostdin", "-v", "error", *input_options, "-i", str(path), "-map", "0:v:0",
               "-vf", f"crop={width}:{cell}:0:0", "-fps_mode", "passthrough",
               "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        while len(luma := child.stdout.read(width * cell)) == width * cell:
            yield band_number(luma, width)


def frames(path, width):
    """Pairs of (presentation time in seconds, number in the picture), in presentation order."""
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pts_time",
         "-of", "json", str(path)], check=True, capture_output=True)
    times = [float(f["pts_time"]) for f in json.loads(probe.stdout)["frames"]]
    numbers = list(bands(path, width))
    assert len(times) == len(numbers)
    return list(zip(times, numbers))
