"""The page and what it needs come from this server alone."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest


class References(HTMLParser):
    """What a page refers to, and what it does inline."""

    def __init__(self, text):
        super().__init__()
        self.links, self.inline = [], []
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs[key] for key in ("src", "href", "action", "poster")
                       if attrs.get(key)]
        self.inline += [f"{tag} {key}" for key in attrs if key.startswith("on") or key == "style"]
        self._script = tag in ("script", "style") and not attrs.get("src")
        if self._script:
            self.inline.append(tag)

    def assets(self):
        return [link for link in self.links if not link.startswith("#")]


@pytest.fixture(scope="module")
def page(recording):
    return recording.keepframe.get("/").expect(200)


def test_the_page_is_served_as_html_under_a_strict_policy(page):
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    policy = {part.split()[0]: part.split()[1:]
              for part in page.headers["Content-Security-Policy"].split(";") if part.strip()}
    assert policy["default-src"] in (["'self'"], ["'none'"])
    for words in policy.values():
        assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"} & set(words)


def test_the_page_needs_nothing_that_the_policy_forbids(page):
    assert References(page.body.decode()).inline == []


def test_every_asset_is_served_from_here(recording, page):
    kinds = {".js": "javascript", ".css": "text/css", ".svg": "image/svg+xml", ".ico": "image/",
             ".png": "image/png"}
    assets = References(page.body.decode()).assets()
    assert any(link.endswith(".js") for link in assets)
    for link in assets:
        assert not urlsplit(link).netloc and not urlsplit(link).scheme, link
        path = urlsplit(urljoin("/", link)).path
        asset = recording.keepframe.get(path).expect(200)
        suffix = "." + path.rsplit(".", 1)[-1]
        assert kinds.get(suffix, "") in asset.headers["Content-Type"], path
        assert asset.headers["X-Content-Type-Options"] == "nosniff"
        assert asset.body


def test_nothing_refers_to_another_server(recording, page):
    bodies = {"/": page.body.decode()}
    for link in References(bodies["/"]).assets():
        bodies[link] = recording.keepframe.get(urlsplit(urljoin("/", link)).path).body.decode()
    namespaces = ("http://www.w3.org/",)
    for name, text in bodies.items():
        foreign = [found for found in re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"')]*",
                                                 text, re.IGNORECASE)
                   if not found.startswith(namespaces) and found.startswith(("http", "//"))]
        comments = re.findall(r"^\s*//.*$", text, re.MULTILINE)
        foreign = [found for found in foreign if not any(found in line for line in comments)]
        assert not foreign, f"{name}: {foreign}"


def test_page_and_assets_can_be_revalidated(recording, page):
    for link in ["/", *References(page.body.decode()).assets()]:
        path = urlsplit(urljoin("/", link)).path
        etag = recording.keepframe.get(path).headers["ETag"]
        assert etag
        again = recording.keepframe.get(path, headers={"If-None-Match": etag})
        assert again.status == 304, path
