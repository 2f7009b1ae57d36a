"""A plain HTTP client that hides nothing: every status, header and byte as it came."""

import http.client
import json
from dataclasses import dataclass
from urllib.parse import quote, urlencode


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    method: str
    target: str

    @property
    def json(self):
        return json.loads(self.body)

    def expect(self, status):
        """Itself, if it has this status."""
        assert self.status == status, (
            f"{self.method} {self.target} answered {self.status}, not {status}: "
            f"{self.body[:500]!r}")
        return self


def target(path, params=None):
    """Path and query, escaped. Values are text or numbers; None leaves a parameter out."""
    given = {key: value for key, value in (params or {}).items() if value is not None}
    return path + ("?" + urlencode(given, quote_via=quote) if given else "")


def request(address, method, where, headers=None, body=None, timeout=60):
    """One request on a connection of its own. `address` is "HOST:PORT"."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request(method, where, body=body, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read(), method, where)
    finally:
        connection.close()
