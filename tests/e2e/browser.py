"""A headless Chromium: pages, scripts in them, and a <video> that is played, sought and looked at.

It is driven by the DevTools protocol over two pipes, with nothing but the standard library. It can
reach nothing but loopback addresses.

    with Browser(lab) as browser:
        page = browser.open("http://127.0.0.1:8080/healthz")   # any page of the right origin
        player = Player(page, "/video/front-door/main.mp4?start=...&duration=60s")
        player.seek(12.5)
        player.number()      # of the test camera's picture that is on screen
        player.play(until=30, rate=4)
        assert not page.problems()
"""

import json
import os
import select
import shutil
import subprocess
import time
from dataclasses import dataclass

import picture

CEILING_S = 60

OPTIONS = (
    "--headless", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check",
    "--disable-gpu", "--disable-dev-shm-usage", "--disable-breakpad", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows", "--metrics-recording-only", "--mute-audio",
    "--password-store=basic", "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--autoplay-policy=no-user-gesture-required", "--window-size=1280,720")


class Browser:
    """One Chromium with a profile of its own in the laboratory's folder, ended with the lab."""

    def __init__(self, lab, name="chromium", options=()):
        self.folder = lab.folder / f"{name}{len(lab.things)}"
        self.folder.mkdir()
        self.log = self.folder / "chromium.log"
        self._last_id = 0
        self._unread = b""
        self._answers = {}
        self.pages = {}  # by session
        self.process = None
        lab.things.append(self)
        self._start(lab.env(HOME=str(self.folder)), options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _start(self, env, options):
        to_child, self._commands = os.pipe()
        self._events, from_child = os.pipe()
        # Chromium reads commands from descriptor 3 and writes to 4; the shell puts the pipes there
        # in two steps, as they may stand in each other's place.
        words = ["bash", "-c", 'exec 8<&$1 9>&$2; shift 2; exec 3<&8 4>&9 8<&- 9>&- "$@"', "bash",
                 str(to_child), str(from_child),
                 "chromium", f"--user-data-dir={self.folder}", *OPTIONS, *options]
        if os.geteuid() == 0:
            words.append("--no-sandbox")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                cwd=self.folder, start_new_session=True, pass_fds=(to_child, from_child))
        os.close(to_child)
        os.close(from_child)

    def open(self, url="about:blank"):
        """A new page, when it has loaded."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget",
                            {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, target, session)
        self.pages[session] = page
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.call("Page.setBypassCSP", {"enabled": True})  # a test's own script may do anything
        if url != "about:blank":
            page.go(url)
        return page

    def call(self, method, params=None, session=None, timeout=CEILING_S):
        """One command of the protocol, and its result."""
        self._last_id += 1
        command = {"id": self._last_id, "method": method, "params": params or {}}
        if session:
            command["sessionId"] = session
        data = json.dumps(command).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data):]
        deadline = time.monotonic() + timeout
        while command["id"] not in self._answers:
            assert self.read(deadline - time.monotonic()), \
                f"Chromium did not answer {method} within {timeout} s\n{self.log_tail()}"
        answer = self._answers.pop(command["id"])
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def read(self, timeout):
        """Takes in what Chromium says next. False when it said nothing in that time."""
        if not select.select([self._events], [], [], max(timeout, 0))[0]:
            return False
        piece = os.read(self._events, 1 << 20)
        assert piece, f"Chromium ended\n{self.log_tail()}"
        *messages, self._unread = (self._unread + piece).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            elif page := self.pages.get(message.get("sessionId")):
                page.take(message["method"], message["params"])
        return True

    def log_tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def stop(self):
        """Ends it. Harmless when it has ended."""
        if self.process is None:
            return
        process, self.process = self.process, None
        os.close(self._commands)  # the end of its pipe is the end of Chromium
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
        os.close(self._events)
        for place in self.folder.iterdir():
            if place != self.log:
                shutil.rmtree(place, ignore_errors=True)


class Page:
    """A tab."""

    def __init__(self, browser, target, session):
        self.browser = browser
        self.target = target
        self.session = session
        self._problems = []
        self.events = []  # (method, params) of the domains that a test has enabled itself

    def call(self, method, params=None, timeout=CEILING_S):
        return self.browser.call(method, params, self.session, timeout)

    def take(self, method, params):
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self._problems.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self._problems.append(" ".join(str(arg.get("value", arg.get("description")))
                                           for arg in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            if not entry.get("url", "").endswith("/favicon.ico"):
                self._problems.append(f"{entry['text']} {entry.get('url', '')}")
        elif method == "Inspector.targetCrashed":
            raise AssertionError(f"the page crashed\n{self.browser.log_tail()}")
        self.events.append((method, params))

    def problems(self):
        """What exceptions and errors the page's console has shown until now."""
        self.evaluate("0")  # what was said before it has arrived then
        return self._problems

    def go(self, url):
        """Navigates, and waits until the page has loaded."""
        self.events.clear()
        result = self.call("Page.navigate", {"url": url})
        assert not result.get("errorText"), f"{url}: {result['errorText']}"
        self.wait_event("Page.loadEventFired")

    def wait_event(self, method, timeout=CEILING_S):
        deadline = time.monotonic() + timeout
        while True:
            found = [params for name, params in self.events if name == method]
            if found:
                return found[0]
            assert self.browser.read(deadline - time.monotonic()), \
                f"no {method} within {timeout} s\n{self.browser.log_tail()}"

    def evaluate(self, expression, timeout=CEILING_S):
        """The value of an expression (awaited, if it is a promise), as JSON has it."""
        result = self.call("Runtime.evaluate", {
            "expression": expression, "awaitPromise": True, "returnByValue": True,
            "userGesture": True}, timeout)
        details = result.get("exceptionDetails")
        if details:
            text = details.get("exception", {}).get("description") or details["text"]
            raise AssertionError(f"in the page: {text}\n{expression[:300]}")
        return result["result"].get("value")

    def run(self, function, *arguments, timeout=CEILING_S):
        """Calls a function, given as text, with these arguments."""
        given = ", ".join(map(json.dumps, arguments))
        return self.evaluate(f"({function})({given})", timeout)

    def wait_for(self, what, expression, timeout=CEILING_S):
        """Until the expression is true in the page; its value."""
        value = self.evaluate(f"""(async () => {{
            const end = performance.now() + {timeout * 1000};
            for (;;) {{
                const value = await ({expression});
                if (value || performance.now() > end) return value;
                await new Promise(done => setTimeout(done, 20));
            }}
        }})()""", timeout + 30)
        assert value, f"waited {timeout} s in vain until {what}; the page says {self._problems}"
        return value

    def number(self, selector="video"):
        """The number in the test camera's picture that a <video> shows now; None if it is none."""
        cells = self.run(BAND_JS, selector)
        return cells and picture.number_in(cells)

    def close(self):
        self.browser.call("Target.closeTarget", {"targetId": self.target})
        del self.browser.pages[self.session]


# The mean luma of each cell's middle in the band at the top of the picture (tests/tools/testcam_picture.c).
BAND_JS = """selector => {
    const video = document.querySelector(selector);
    const width = video.videoWidth, cell = Math.floor(width / 20) & ~1;
    if (!cell) return null;
    const canvas = new OffscreenCanvas(width, cell);
    const context = canvas.getContext('2d', {willReadFrequently: true});
    context.drawImage(video, 0, 0);
    const quarter = cell >> 2, side = cell - 2 * quarter;
    return Array.from({length: 20}, (_, i) => {
        const pixels = context.getImageData(i * cell + quarter, quarter, side, side).data;
        let sum = 0;
        for (let at = 1; at < pixels.length; at += 4) sum += pixels[at];
        return sum / (side * side);
    });
}"""


@dataclass(frozen=True)
class Shown:
    """A picture that came on screen."""

    time: float  # its own, in the media
    width: int
    height: int


class Player:
    """A <video> of its own in a page, fed from an address (relative to the page's)."""

    def __init__(self, page, url, timeout=CEILING_S):
        self.page = page
        self.name = f"player{page.evaluate('document.querySelectorAll(`video`).length')}"
        page.run(PLAYER_JS, self.name, url)
        self._wait("it has loaded", "player.video.readyState >= 2", timeout)

    def close(self):
        self._do("player.video.removeAttribute('src'); player.video.load(); player.video.remove()")

    def _do(self, script, timeout=CEILING_S):
        return self.page.evaluate(
            f"(async () => {{ const player = window[{json.dumps(self.name)}]; {script} }})()",
            timeout)

    def _wait(self, what, condition, timeout=CEILING_S):
        """Until the condition holds; an error of the media ends that at once."""
        error = self._do(f"""
            const end = performance.now() + {timeout * 1000};
            while (!({condition})) {{
                if (player.video.error) return player.error();
                if (performance.now() > end) return 'it takes more than {timeout} s; '
                    + JSON.stringify(player.state());
                await new Promise(done => setTimeout(done, 10));
            }}""", timeout + 30)
        assert not error, f"waiting until {what}: {error}"

    def state(self):
        """time, duration, width, height, ended, paused, ready, buffered [[from, to]...], pictures
        and dropped (counted by Chromium), stalls (times that it had to wait for data)."""
        return self._do("return player.state()")

    def seek(self, seconds, timeout=CEILING_S):
        """Seeks, and waits until the picture of that moment is on screen."""
        self._do(f"player.seeked = false; player.video.currentTime = {seconds:.6f}")
        self._wait(f"{seconds} s is on screen", "player.seeked && player.video.readyState >= 2",
                   timeout)

    def play(self, until=None, rate=1.0, timeout=CEILING_S):
        """Plays to a moment or to the end. The pictures that came on screen meanwhile."""
        condition = "player.video.ended" if until is None else \
            f"player.video.ended || player.video.currentTime >= {until}"
        self._do(f"player.shown = []; player.video.playbackRate = {rate}; await player.video.play()")
        self._wait("it is played", condition, timeout)
        return [Shown(*row) for row in self._do("player.video.pause(); return player.shown")]

    def number(self):
        """The number in the test camera's picture that is on screen."""
        return self.page.number("#" + self.name)


PLAYER_JS = """(name, url) => {
    const video = document.createElement('video');
    const player = window[name] = {video, shown: [], seeked: false, stalls: 0};
    player.error = () => `media error ${video.error.code}: ${video.error.message}`;
    player.state = () => {
        const quality = video.getVideoPlaybackQuality(), buffered = [];
        for (let i = 0; i < video.buffered.length; i++)
            buffered.push([video.buffered.start(i), video.buffered.end(i)]);
        return {time: video.currentTime, duration: video.duration, width: video.videoWidth,
            height: video.videoHeight, ended: video.ended, paused: video.paused,
            ready: video.readyState, buffered, pictures: quality.totalVideoFrames,
            dropped: quality.droppedVideoFrames, stalls: player.stalls,
            error: video.error ? player.error() : null};
    };
    const watch = (_, picture) => {
        player.shown.push([picture.mediaTime, picture.width, picture.height]);
        video.requestVideoFrameCallback(watch);
    };
    video.requestVideoFrameCallback(watch);
    video.addEventListener('seeked', () => player.seeked = true);
    video.addEventListener('waiting', () => player.stalls++);
    video.id = name;
    video.preload = 'auto';
    video.src = url;
    document.body.append(video);
}"""
