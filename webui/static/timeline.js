// A day's footage as a bar: hours, recorded spans, the chosen range. Click for a moment, drag for a
// range.
import { clockText } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 10000; // of the drawing; milliseconds would be beyond what a drawing can hold
const HEIGHT = 100;
const JOIN_MS = 1000; // footage that follows so closely is one span
const CLICK_PIXELS = 5;
const HOUR_MS = 3600000;
const STEPS_MS = [60000, 300000, 600000, 1800000, HOUR_MS, 3 * HOUR_MS]; // between labels

/** Consecutive segments as spans: [{start, end, bytes, open}], times in ms. */
export function joinSegments(segments, joinMs = JOIN_MS) {
  const spans = [];
  for (const segment of segments) {
    const start = Date.parse(segment.start), end = Date.parse(segment.end);
    const last = spans.at(-1);
    if (last && start - last.end <= joinMs) {
      last.end = Math.max(last.end, end);
      last.bytes += segment.bytes;
      last.open = segment.state === "open";
    } else {
      spans.push({ start, end, bytes: segment.bytes, open: segment.state === "open" });
    }
  }
  return spans;
}

export class Timeline {
  /** onMoment(ms) for a click, onRange(from, to) for a drag. */
  constructor(svg, hours, pointer, { onMoment, onRange }) {
    Object.assign(this, { svg, hours, pointer, onMoment, onRange });
    this.spans = [];
    this.pick = null;
    this.played = null;
    this.setView(0, 86400000);
    svg.addEventListener("pointerdown", (event) => this.#down(event));
    svg.addEventListener("pointermove", (event) => this.#move(event));
    svg.addEventListener("pointerup", (event) => this.#up(event));
    svg.addEventListener("pointercancel", () => { this.drag = null; });
    svg.addEventListener("pointerleave", () => { this.pointer.value = ""; });
  }

  /** Shows the time from start to end: a day, or a part of it. */
  setView(start, end) {
    Object.assign(this, { start, end });
    const step = STEPS_MS.find((one) => (end - start) / one <= 9) ?? STEPS_MS.at(-1);
    this.ticks = this.#moments(Math.min(step, HOUR_MS));
    this.hours.replaceChildren(...this.#moments(step).map((ms) => this.#label(ms, step)));
    this.draw();
  }

  // The moments in view at which the local clock shows a multiple of the step: also on a day that
  // leaves out an hour or has one twice.
  #moments(step) {
    const moments = [];
    const midnight = new Date(this.start).setHours(0, 0, 0, 0);
    for (let ms = midnight; ms <= this.end; ms += Math.min(step, HOUR_MS / 2)) {
      const date = new Date(ms);
      const clock = (date.getHours() * 60 + date.getMinutes()) * 60000;
      if (ms >= this.start && clock % step === 0) moments.push(ms);
    }
    return moments;
  }

  #label(ms, step) {
    const label = document.createElement("span");
    const text = ms === this.end && ms - this.start > 80000000 ? "24:00" : clockText(ms).slice(0, 5);
    label.textContent = step >= HOUR_MS ? text.slice(0, 2) : text;
    label.style.left = `${Math.min(Math.max(this.#share(ms) * 100, 1), 99)}%`;
    return label;
  }

  draw() {
    this.svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    const parts = [];
    for (const ms of this.ticks) parts.push(this.#line(ms, "hour"));
    for (const span of this.spans)
      parts.push(this.#box(span.start, span.end, span.open ? "footage open" : "footage", 18, 64));
    parts.push(this.#line(Date.now(), "now"));
    if (this.pick) parts.push(this.#box(...this.pick, "pick", 0, HEIGHT));
    if (this.played !== null) parts.push(this.#line(this.played, "played"));
    this.svg.replaceChildren(...parts.filter(Boolean)); // what is out of view is null
  }

  #share(ms) {
    return (ms - this.start) / (this.end - this.start);
  }

  #x(ms) {
    return Math.min(Math.max(this.#share(ms), 0), 1) * WIDTH;
  }

  #box(from, to, name, y, height) {
    if (to <= this.start || from >= this.end) return null;
    const box = document.createElementNS(SVG, "rect");
    box.setAttribute("class", name);
    box.setAttribute("x", this.#x(from));
    box.setAttribute("width", Math.max(this.#x(to) - this.#x(from), WIDTH / 1500)); // never unseen
    box.setAttribute("y", y);
    box.setAttribute("height", height);
    return box;
  }

  #line(ms, name) {
    if (ms <= this.start || ms >= this.end) return null;
    const line = document.createElementNS(SVG, "line");
    line.setAttribute("class", name);
    for (const key of ["x1", "x2"]) line.setAttribute(key, this.#x(ms));
    line.setAttribute("y1", 0);
    line.setAttribute("y2", HEIGHT);
    return line;
  }

  #time(event) {
    const bounds = this.svg.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - bounds.left) / bounds.width, 0), 1);
    return Math.round(this.start + share * (this.end - this.start));
  }

  #down(event) {
    if (event.button !== 0) return;
    this.svg.setPointerCapture(event.pointerId);
    this.drag = { x: event.clientX, ms: this.#time(event) };
  }

  #move(event) {
    const ms = this.#time(event);
    this.pointer.value = clockText(ms);
    if (!this.drag || Math.abs(event.clientX - this.drag.x) < CLICK_PIXELS) return;
    this.pick = [Math.min(this.drag.ms, ms), Math.max(this.drag.ms, ms)];
    this.draw();
  }

  #up(event) {
    if (!this.drag) return;
    const { x, ms } = this.drag;
    this.drag = null;
    if (Math.abs(event.clientX - x) < CLICK_PIXELS) this.onMoment(ms);
    else this.onRange(Math.min(ms, this.#time(event)), Math.max(ms, this.#time(event)));
  }
}
