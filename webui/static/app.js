// The page: cameras on one side, the chosen stream's day on the other, and the range to play or take
// away.
import { getHealth, getJson, getSegments, headVideo } from "./api.js";
import {
  apiTime, clockText, dayBounds, dayText, extentText, inputText, lengthText, momentText, shiftDay, sizeText,
} from "./format.js";
import { LiveGrid } from "./live.js";
import { Timeline, joinSegments } from "./timeline.js";

const REFRESH_MS = 5000;
const CLICK_LENGTH_MS = 60000; // what a click into the footage plays
const FIT_MS = 2 * 3600000; // a day with less footage than this is shown close up
const RANGE_MAX_MS = 31 * 86400000;
const PIECE_JOIN_MS = 20; // what is nearer than a frame is one piece
const $ = (id) => document.getElementById(id);

const page = {
  camera: null,
  stream: null,
  day: dayText(new Date()),
  spans: [],
  spansAt: 0, // when the spans were asked for
  cameras: [],
  fit: false, // the bar shows the footage alone, not the whole day
  shown: null, // {start, end, pieces} of what plays
};

// --- Cameras

const STATE_LOOK = {
  recording: "good", connecting: "warn", ending: "warn", unknown: "warn",
  off: "", disabled: "", removed: "",
};

function stateLook(state) {
  return STATE_LOOK[state] ?? "bad";
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function cameraButton(camera, stream) {
  const button = element("button", "camera");
  button.type = "button";
  const title = element("span", "camera-title");
  title.append(
    element("span", "", stream.stream === "main" ? camera : `${camera} · ${stream.stream}`),
    element("span", `state ${stateLook(stream.state)}`, stream.state));
  button.append(title);
  if (stream.first === null) {
    button.append(element("small", "", "no footage yet"));
  } else {
    button.append(
      element("small", "", extentText(Date.parse(stream.first), Date.parse(stream.last))),
      element("small", "", sizeText(stream.bytes)));
  }
  button.setAttribute("aria-current", String(camera === page.camera && stream.stream === page.stream));
  button.addEventListener("click", () => choose(camera, stream.stream, newestDay(stream)));
  return button;
}

function newestDay(stream) {
  return dayText(stream.last === null ? new Date() : new Date(Date.parse(stream.last)));
}

function findStream(camera, stream) {
  return page.cameras.find((one) => one.camera === camera)?.streams
    .find((one) => one.stream === stream);
}

function drawCameras() {
  const focused = [...$("cameras").querySelectorAll("button")].indexOf(document.activeElement);
  const items = page.cameras.flatMap(({ camera, streams }) => streams.map((stream) => {
    const item = document.createElement("li");
    item.append(cameraButton(camera, stream));
    return item;
  }));
  $("cameras").replaceChildren(...items);
  if (focused >= 0) items[focused]?.firstChild.focus();
  $("cameras-empty").hidden = items.length > 0;
  $("welcome").hidden = items.length === 0 || page.camera !== null;
}

// What is to be said of streams that should be recorded and are not.
function missingText(streams) {
  const missing = streams.filter(({ state }) => stateLook(state) === "bad").length;
  if (missing === 0) return [];
  return [`streams not recorded: ${missing} of ${streams.length}`];
}

async function refreshCameras() {
  const health = await getHealth();
  let troubles = health.ok ? [] : health.reasons;
  try {
    const answer = await getJson("/api/v1/cameras");
    page.cameras = answer.cameras;
    $("node").textContent = answer.node;
    drawCameras();
    if (health.ok) troubles = missingText(answer.cameras.flatMap(({ streams }) => streams));
  } catch (error) {
    troubles = [error.message];
  }
  $("health").className = `health ${troubles.length === 0 ? "good" : "bad"}`;
  $("health").textContent = troubles.join("; ") || "all is well";
}

// --- The stream and its day

function choose(camera, stream, day) {
  const other = camera !== page.camera || stream !== page.stream;
  Object.assign(page, { camera, stream, day });
  $("stream").hidden = false;
  $("stream-name").textContent = stream === "main" ? camera : `${camera} · ${stream}`;
  $("day").value = day;
  history.replaceState(null, "", `#${camera}/${stream}/${day}`);
  page.spans = timeline.spans = [];
  page.spansAt = 0;
  timeline.setView(...dayBounds(day));
  drawCameras();
  if (other) stopVideo();
  refreshDay(true);
}

async function refreshDay(fresh = false) {
  const { camera, stream, day } = page;
  if (camera === null) return;
  const [start, end] = dayBounds(day);
  const asked = Date.now();
  let segments;
  try {
    segments = await getSegments(camera, stream, apiTime(start), apiTime(end));
  } catch (error) {
    say(error.message, true);
    return;
  }
  if (camera !== page.camera || stream !== page.stream || day !== page.day) return;
  page.spans = joinSegments(segments);
  page.spansAt = asked;
  timeline.spans = page.spans;
  if (fresh) page.fit = extent() !== null && extent()[1] - extent()[0] < FIT_MS;
  showView();
  drawSpans(start, end);
  if (fresh) pickNewest(start, end);
}

// From the day's first footage to its last; null when there is none.
function extent() {
  const [start, end] = dayBounds(page.day);
  if (page.spans.length === 0) return null;
  return [Math.max(page.spans[0].start, start), Math.min(page.spans.at(-1).end, end)];
}

function showView() {
  const [start, end] = dayBounds(page.day);
  const [first, last] = (page.fit && extent()) || [start, end];
  const margin = page.fit ? Math.max((last - first) / 20, 60000) : 0;
  timeline.setView(Math.max(first - margin, start), Math.min(last + margin, end));
  $("fit").setAttribute("aria-pressed", String(page.fit));
}

function drawSpans(start, end) {
  const focused = [...$("spans").querySelectorAll("button")].indexOf(document.activeElement);
  const items = page.spans.map((span) => {
    const item = document.createElement("li");
    const button = element("button", "span");
    button.type = "button";
    const from = Math.max(span.start, start), to = Math.min(span.end, end);
    button.append(
      element("span", "", `${clockText(from)} – ${to === end ? "24:00:00" : clockText(to)}`),
      element("small", "", `${lengthText(to - from)}${span.open ? ", recording" : ""}`));
    button.addEventListener("click", () => setRange(from, to));
    item.append(button);
    return item;
  });
  $("spans").replaceChildren(...items);
  if (focused >= 0) items[focused]?.firstChild.focus();
  $("spans-empty").hidden = items.length > 0;
  const covered = page.spans.reduce(
    (sum, span) => sum + Math.min(span.end, end) - Math.max(span.start, start), 0);
  const bytes = page.spans.reduce((sum, span) => sum + span.bytes, 0);
  $("day-sum").textContent = items.length > 0 ? `${lengthText(covered)}, ${sizeText(bytes)}` : "";
}

// The end of the day's footage is what is wanted most often.
function pickNewest(start, end) {
  const last = page.spans.at(-1);
  if (!last) {
    setRange(start, start + CLICK_LENGTH_MS);
    return;
  }
  const to = Math.min(last.end, end);
  setRange(Math.max(last.start, start, to - CLICK_LENGTH_MS), to);
}

// --- The range

function say(text, bad = false) {
  $("facts").textContent = text;
  $("facts").className = bad ? "facts bad" : "facts";
}

function videoPath(extra = {}) {
  const query = new URLSearchParams({ start: apiTime(range.from), end: apiTime(range.to), ...extra });
  if (!$("audio").checked) query.set("audio", "0");
  if ($("keyframe").checked) query.set("start_at", "keyframe");
  return `/video/${page.camera}/${page.stream}.mp4?${query}`;
}

const range = { from: NaN, to: NaN };

function setRange(from, to) {
  Object.assign(range, { from, to });
  $("from").value = inputText(from);
  $("to").value = inputText(to);
  rangeChanged();
}

// Only what was typed is read back: in the hour that a change of clocks repeats, the text of a time
// is less than the time.
function rangeTyped({ target }) {
  range[target.id] = new Date(target.value).getTime();
  rangeChanged();
}

// What is wrong with the range, or null.
function rangeFault() {
  if (!(range.to > range.from)) return "“To” must be later than “From”.";
  if (range.to - range.from > RANGE_MAX_MS) return "At most 31 days go into one file.";
  if (range.from > Date.now()) return "This range has not happened yet.";
  const [start, end] = dayBounds(page.day);
  const known = range.from >= start && range.to <= Math.min(end, page.spansAt);
  const covered = page.spans.some((span) => span.start < range.to && span.end > range.from);
  return known && !covered ? "Nothing was recorded in this range." : null;
}

let headTimer = 0;

function rangeChanged() {
  clearTimeout(headTimer);
  const fault = rangeFault();
  $("download").setAttribute("aria-disabled", String(fault !== null));
  $("copy").disabled = fault !== null;
  timeline.pick = range.to > range.from ? [range.from, range.to] : null;
  timeline.draw();
  if (fault !== null) {
    $("download").removeAttribute("href");
    $("curl").textContent = "";
    say(fault, true);
    return false;
  }
  $("download").href = videoPath({ download: "1" });
  $("curl").textContent = curlCommand();
  say("…");
  headTimer = setTimeout(describeRange, 250);
  return true;
}

function curlCommand() {
  const name = `${page.camera}_${page.stream}_${inputText(range.from).replaceAll(":", "-")}.mp4`;
  return `curl -fo '${name}' '${location.origin}${videoPath()}'`;
}

async function describeRange() {
  const path = videoPath();
  try {
    const facts = await headVideo(path);
    if (path !== videoPath()) return;
    const hidden = facts.leadInMs >= 50 ?
      ` (begins ${(facts.leadInMs / 1000).toFixed(1)} s earlier, which most players hide)` : "";
    say(`${sizeText(facts.bytes)}, shows ${momentText(facts.start, true)} – ` +
      `${momentText(facts.end, true)}${hidden}`);
  } catch (error) {
    if (path !== videoPath()) return;
    const parts = (error.details?.ranges ?? [])
      .map((part) => `${momentText(Date.parse(part.start))} – ${momentText(Date.parse(part.end))}`);
    say([error.message, ...parts].join("; "), true);
    $("download").setAttribute("aria-disabled", "true");
  }
}

// --- The video

function stopVideo() {
  const video = $("video");
  video.removeAttribute("src");
  video.load();
  video.hidden = $("clock").hidden = true;
  page.shown = null;
  timeline.played = null;
  timeline.draw();
}

async function play() {
  if (!rangeChanged()) return;
  const path = videoPath(), { camera, stream } = page;
  try {
    const shown = await headVideo(path);
    const segments = await getSegments(camera, stream, apiTime(shown.start), apiTime(shown.end));
    if (path !== videoPath()) return;
    page.shown = { ...shown, pieces: joinSegments(segments, PIECE_JOIN_MS) };
  } catch (error) {
    say(error.message, true);
    return;
  }
  const video = $("video");
  video.hidden = $("clock").hidden = false;
  video.src = path;
  video.play().catch(() => {}); // a browser may want a click on its own button
}

// When that was what the video shows now. Time without footage is not in the video.
function shownMoment() {
  const { start, end, pieces } = page.shown;
  let rest = $("video").currentTime * 1000, to = start;
  for (const piece of pieces) {
    const from = Math.max(piece.start, start);
    to = Math.min(piece.end, end);
    if (rest < to - from) return from + rest;
    rest -= to - from;
  }
  return to;
}

function showClock() {
  if (!page.shown) return;
  const ms = shownMoment();
  $("clock").textContent = momentText(ms, true);
  timeline.played = ms;
  timeline.draw();
}

// --- Live view

const LIVE_TILES_MAX = 64;

// Of each camera its small stream, where it has one.
function liveStreams() {
  return page.cameras
    .map(({ camera, streams }) => {
      const chosen = streams.find((one) => one.stream === "sub") ?? streams[0];
      return chosen && chosen.state !== "removed" ? `${camera}/${chosen.stream}` : null;
    })
    .filter((name) => name !== null)
    .slice(0, LIVE_TILES_MAX);
}

function liveFigure(name) {
  const figure = element("figure", "live-tile");
  figure.append(document.createElement("video"), element("figcaption", "", name));
  return figure;
}

function showLive(shown) {
  page.live?.close();
  page.live = null;
  const names = shown ? liveStreams() : [];
  const figures = names.map(liveFigure);
  $("live").replaceChildren(...figures);
  $("live").hidden = !shown;
  $("live-toggle").setAttribute("aria-pressed", String(shown));
  if (names.length === 0) return;
  page.live = new LiveGrid(names, figures.map((figure) => figure.querySelector("video")), (tile) => {
    tile.video.parentElement.dataset.state = tile.state;
  });
}

// --- Everything together

const timeline = new Timeline($("timeline"), $("hours"), $("pointer"), {
  onMoment(ms) {
    const span = page.spans.find((one) => ms < one.end);
    const from = span ? Math.max(span.start, ms) : ms;
    setRange(from, from + CLICK_LENGTH_MS);
    play();
  },
  onRange: setRange,
});

$("live-toggle").addEventListener("click", () => showLive($("live").hidden));
$("day").addEventListener("change", () => {
  if ($("day").value) choose(page.camera, page.stream, $("day").value);
});
$("day-before").addEventListener("click", () => choose(page.camera, page.stream, shiftDay(page.day, -1)));
$("day-after").addEventListener("click", () => choose(page.camera, page.stream, shiftDay(page.day, 1)));
$("day-last").addEventListener("click", () => {
  const stream = findStream(page.camera, page.stream);
  if (stream) choose(page.camera, page.stream, newestDay(stream));
});
$("fit").addEventListener("click", () => {
  page.fit = !page.fit;
  showView();
});
for (const id of ["from", "to"]) $(id).addEventListener("change", rangeTyped);
for (const id of ["audio", "keyframe"]) $(id).addEventListener("change", rangeChanged);
$("range").addEventListener("submit", (event) => {
  event.preventDefault();
  play();
});
$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("curl").textContent);
    $("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren($("curl")); // ready for the reader's own Ctrl-C
    $("copy").textContent = "Selected: press Ctrl-C";
  }
  setTimeout(() => { $("copy").textContent = "Copy curl command"; }, 2500);
});
$("video").addEventListener("timeupdate", showClock);
$("video").addEventListener("error", () => {
  if (page.shown) say(`The browser can not play this: ${$("video").error?.message ?? "no reason given"}. ` +
    "The download plays in VLC, mpv and ffplay.", true);
});

async function start() {
  await refreshCameras();
  const [camera, stream, day] = location.hash.slice(1).split("/");
  const asked = findStream(camera, stream);
  const only = page.cameras[0];
  if (asked) choose(camera, stream, /^\d{4}-\d\d-\d\d$/.test(day) ? day : newestDay(asked));
  else if (only) choose(only.camera, only.streams[0].stream, newestDay(only.streams[0]));
  setInterval(async () => {
    if (document.hidden) return;
    await refreshCameras();
    if (page.day === dayText(new Date())) refreshDay();
  }, REFRESH_MS);
}

start();
