"""A link that is too slow: a proxy that lets so many bytes a second through to the client, with
small buffers of its own, until it is released."""

import socket
import threading
import time

PIECE_S = 0.02


class SlowLink:
    def __init__(self, address, bytes_per_second):
        host, port = address.rsplit(":", 1)
        self.target = (host, int(port))
        self.rate = bytes_per_second
        self.ended = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        self.listener.close()

    def release(self):
        self.rate = None

    def _accept(self):
        while not self.ended:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket()
            # What lies in the buffers of this link is on its way, so it must be little.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
            server.connect(self.target)
            for job in ((self._request, client, server), (self._answer, server, client)):
                threading.Thread(target=job[0], args=job[1:], daemon=True).start()

    def _request(self, client, server):
        try:
            while data := client.recv(4096):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _answer(self, server, client):
        owed = time.monotonic()  # when what was sent so far may have been sent at the earliest
        try:
            while data := server.recv(65536 if self.rate is None else
                                      max(1, int(self.rate * PIECE_S))):
                client.sendall(data)
                if self.rate is None:
                    continue
                now = time.monotonic()
                owed = max(owed, now - PIECE_S) + len(data) / self.rate
                time.sleep(max(0, owed - now))
        except OSError:
            pass
        finally:
            client.close()
            server.close()
