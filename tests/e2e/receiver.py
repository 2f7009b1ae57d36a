"""A web server that webhooks call: it remembers what it was sent, and answers as the test wants."""

import json
import ssl
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from waiting import wait_for


@dataclass(frozen=True)
class Call:
    path: str
    headers: dict
    body: dict


class Receiver:
    """With `certificate` (the file of a key and its certificate) it speaks TLS."""

    def __init__(self, certificate=None):
        self.calls = []
        self.code = 200
        self.hangs = threading.Event()  # while it is set, nobody gets an answer
        self.answers = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append(Call(self.path, dict(self.headers), json.loads(body)))
                if receiver.hangs.is_set():
                    receiver.answers.wait(60)
                    return
                self.send_response(receiver.code)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def port(self):
        return self.server.server_address[1]

    def url(self, path="/hook", user=""):
        return f"{self.scheme}://{user}127.0.0.1:{self.port}{path}"

    def of(self, event):
        """The bodies of all calls about that event."""
        return [call.body for call in list(self.calls) if call.body["event"] == event]

    def wait(self, event, count=1, context=None):
        return wait_for(f"the receiver has been told {event} {count} times",
                        lambda: len(self.of(event)) >= count and self.of(event), context=context)

    def stop(self):
        self.answers.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
