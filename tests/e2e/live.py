"""Clients of live view: they take what comes, piece by piece, and note when it came.

    with MuxClient(keepframe, ["yard/main"]) as client:
        media = client.read_until(lambda piece: piece.kind == MEDIA and piece.key)

What the pieces are is read from their bytes by the rules of docs/api.md and ISO/IEC 14496-12,
without any code of the product.
"""

import http.client
import json
import struct
import time
from dataclasses import dataclass

import media
import web

DESCRIPTION, INIT, MEDIA, STATE = range(4)
KEY, DISCONTINUITY, NEW_RUN, CATCH_UP = 1, 2, 4, 8
HEADER = struct.Struct("<BBHIddd")
CEILING_S = 60


@dataclass(frozen=True)
class Piece:
    """One piece of a mux."""

    kind: int
    tile: int
    flags: int
    start: float
    duration: float
    age: float
    body: bytes
    arrived: float  # monotonic

    @property
    def end(self):
        return self.start + self.duration

    @property
    def key(self):
        return bool(self.flags & KEY)

    @property
    def json(self):
        return json.loads(self.body)


class Client:
    """An answer without an end, read as it comes."""

    def __init__(self, keepframe, path, params=None, address=None):
        self.buffer = b""
        self.target = web.target(path, params)
        self.connection = http.client.HTTPConnection(address or keepframe.address(), timeout=CEILING_S)
        self.connection.request("GET", self.target)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read(2000)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.response.close()
        self.connection.close()

    def take(self, size):
        """Exactly so many bytes."""
        while len(self.buffer) < size:
            piece = self.response.read1(65536)
            if not piece:
                raise EOFError(f"{self.target} has ended")
            self.buffer += piece
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data


class MuxClient(Client):
    """A client of /live/mux that checks the order in which pieces come."""

    def __init__(self, keepframe, tiles, audio=None, address=None):
        super().__init__(keepframe, "/live/mux", {"tiles": ",".join(tiles), "audio": audio}, address)
        self.tiles = tiles
        self.pieces = []
        self._described, self._with_init, self._last = set(), {}, {}

    def read(self):
        kind, tile, flags, length, start, duration, age = HEADER.unpack(self.take(HEADER.size))
        body = self.take(length)
        piece = Piece(kind, tile, flags, start, duration, age, body, time.monotonic())
        self._check(piece)
        self.pieces.append(piece)
        return piece

    def _check(self, piece):
        """What the framing promises of every piece."""
        assert piece.kind in (DESCRIPTION, INIT, MEDIA, STATE) and piece.tile < len(self.tiles)
        assert not piece.flags & ~15
        tile = piece.tile
        if piece.kind == DESCRIPTION:
            self._described.add(tile)
            assert f"{piece.json['camera']}/{piece.json['stream']}" == self.tiles[tile]
        elif piece.kind == INIT:
            assert tile in self._described
            self._described.discard(tile)
            self._with_init[tile] = True
            assert [box.type for box in media.boxes_in(piece.body)] == ["ftyp", "moov"]
        elif piece.kind == MEDIA:
            assert tile in self._with_init
            assert [box.type for box in media.boxes_in(piece.body)] == ["moof", "mdat"]
            if self._with_init[tile] or piece.flags & (DISCONTINUITY | NEW_RUN | CATCH_UP):
                assert piece.key, f"tile {tile} goes on without a key frame: flags {piece.flags}"
            assert not piece.flags & NEW_RUN or piece.flags & DISCONTINUITY
            last = self._last.get(tile)
            if last and not piece.flags & (DISCONTINUITY | CATCH_UP):
                assert abs(piece.start - last.end) < 0.25, (last.end, piece.start)
            elif last and not piece.flags & DISCONTINUITY:
                assert piece.start >= last.end - 0.25
            self._with_init[tile] = False
            self._last[tile] = piece

    def read_until(self, wanted, timeout=CEILING_S):
        """The first piece that is wanted; all pieces are kept in self.pieces."""
        deadline = time.monotonic() + timeout
        while True:
            assert time.monotonic() < deadline, f"no such piece within {timeout} s"
            piece = self.read()
            if wanted(piece):
                return piece

    def media(self, tile=0):
        return [piece for piece in self.pieces if piece.kind == MEDIA and piece.tile == tile]


class MovieClient(Client):
    """A client of /live/CAMERA/STREAM.mp4."""

    def __init__(self, keepframe, camera, stream="main", audio=None, address=None):
        super().__init__(keepframe, f"/live/{camera}/{stream}.mp4", {"audio": audio}, address)
        self.data = b""

    def read_box(self):
        """The next top-level box: its type and its bytes."""
        head = self.take(8)
        size, name = struct.unpack(">I4s", head)
        box = head + self.take(size - 8)
        self.data += box
        return name.decode(), box

    def read_fragments(self, count):
        """Everything up to the end of so many more fragments."""
        while count:
            count -= self.read_box()[0] == "mdat"
        return self.data
