// Live view: several streams in one answer, each in a <video>, half a second and a reserve behind what the
// camera sends. Every figure here was measured; the reserve of each tile grows where its link is uneven.
import { FLAG, KIND, readPieces } from "./mux.js";

const TICK_MS = 100;
const WINDOW_MS = 2000; // over which the least reserve counts
const RESERVE_S = 0.2; // that is aimed at
const RESERVE_MAX_S = 1;
const RESERVE_STEP_S = 0.15; // more after a short stall
const RESERVE_DECAY_S = 0.005; // less with each tick
const STALL_MAX_S = 1; // a longer one is an outage, and no reason for a larger reserve
const BEHIND_MAX_S = 1.3;
const SETTLE_MS = 1000; // after a join, in which nothing is mended
const FREEZE_S = 1.5; // a fragment that is longer is the end of a freeze
const NEAR_END_S = 0.1; // of a range: a browser stops a little before it
const KEEP_S = 8; // of what has been shown
const RETRY_MS = [500, 1000, 2000, 5000];

/** One stream in one <video>. */
class Tile {
  constructor(video, onChange) {
    this.video = video;
    this.state = null; // recording, stalled, off
    this.description = null;
    this.stats = { stalls: 0, stalled: 0, jumps: 0, rebuilds: 0, pieces: 0 };
    this.init = null;
    this.onChange = onChange;
    this.stallAt = null;
    video.muted = true;
    video.playsInline = true;
    video.addEventListener("waiting", () => this.#stall());
    video.addEventListener("playing", () => this.#resume());
  }

  // --- What comes

  take(piece) {
    if (piece.kind === KIND.state) {
      this.state = JSON.parse(new TextDecoder().decode(piece.body)).state;
      this.onChange(this);
    } else if (piece.kind === KIND.description) {
      this.description = JSON.parse(new TextDecoder().decode(piece.body));
    } else if (piece.kind === KIND.init) {
      this.#takeInit(piece.body);
    } else if (piece.kind === KIND.media && this.init !== null) {
      this.#takeMedia({ ...piece, arrived: performance.now() });
    }
  }

  #takeInit(body) {
    this.init = body;
    const mime = `video/mp4; codecs="${this.description.codecs}"`;
    if (!MediaSource.isTypeSupported(mime)) {
      this.init = null;
      this.state = "unsupported";
      this.onChange(this);
    } else if (this.source === undefined || mime !== this.mime) {
      this.mime = mime;
      this.#build();
    } else {
      this.queue.push({ body });
    }
  }

  #takeMedia(piece) {
    if (this.needsKey && !(piece.flags & FLAG.key)) return;
    this.needsKey = false;
    this.stats.pieces++;
    if (piece.flags & FLAG.catchUp) this.#expectNothing();
    this.newest = piece;
    this.queue.push(piece);
    this.#append();
  }

  // --- The media source

  #build() {
    const source = new MediaSource();
    this.source = source;
    this.buffer = null;
    this.queue = [{ body: this.init }];
    this.needsKey = true;
    this.joinedAt = null; // when the picture was put in its place
    this.newest = null;
    this.reserve = RESERVE_S;
    this.margins = [];
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(source);
    this.video.src = this.url;
    source.addEventListener("sourceopen", () => {
      if (this.source !== source) return;
      this.buffer = source.addSourceBuffer(this.mime);
      this.buffer.addEventListener("updateend", () => this.#append());
      this.#append();
    }, { once: true });
  }

  #rebuild() {
    this.stats.rebuilds++;
    this.#build();
  }

  #append() {
    if (!this.buffer || this.buffer.updating || this.source.readyState !== "open" || this.video.error) return;
    const piece = this.queue[0];
    if (piece === undefined) {
      this.#join();
      return;
    }
    try {
      this.#place(piece);
      this.buffer.appendBuffer(piece.body);
      this.queue.shift();
    } catch (error) {
      if (error.name === "QuotaExceededError") this.#forget(1);
      else this.#rebuild();
    }
  }

  // Where time does not run on, what follows is put behind what there is.
  #place(piece) {
    if (piece.start === undefined || !(piece.flags & (FLAG.newRun | FLAG.discontinuity))) return;
    const end = this.#end();
    if (end !== null) this.buffer.timestampOffset = end - piece.start;
  }

  #end() {
    const ranges = this.buffer?.buffered;
    return ranges?.length ? ranges.end(ranges.length - 1) : null;
  }

  // The first picture: as near to now as the reserve allows.
  #join() {
    if (this.joinedAt !== null || this.newest === null) return;
    const ranges = this.buffer.buffered;
    if (ranges.length === 0) return;
    this.joinedAt = performance.now();
    const age = this.newest.age + (this.joinedAt - this.newest.arrived) / 1000;
    const wanted = this.#end() - Math.max(0, this.reserve + this.newest.duration - age);
    this.video.currentTime = Math.max(ranges.start(ranges.length - 1), wanted);
    this.video.play().catch(() => {});
  }

  // --- Staying near

  #stall() {
    if (this.joinedAt === null || performance.now() - this.joinedAt < SETTLE_MS) return;
    this.stallAt ??= performance.now();
    this.stats.stalls++;
  }

  #resume() {
    if (this.stallAt === null) return;
    const seconds = (performance.now() - this.stallAt) / 1000;
    this.stats.stalled += seconds;
    if (seconds < STALL_MAX_S)
      this.reserve = Math.min(RESERVE_MAX_S, this.reserve + RESERVE_STEP_S);
    this.stallAt = null;
  }

  // What was left out on a slow link says nothing of its unevenness.
  #expectNothing() {
    this.reserve = RESERVE_S;
    this.margins = [];
    this.stallAt = null;
  }

  tick() {
    if (this.video.error) {
      this.#rebuild();
      return;
    }
    const end = this.#end();
    if (this.joinedAt === null || end === null) return;
    if (this.#leaveHole()) return;
    const now = performance.now();
    const behind = end - this.video.currentTime;
    this.margins.push([now, behind]);
    this.margins = this.margins.filter(([at]) => now - at < WINDOW_MS);
    this.reserve = Math.max(RESERVE_S, this.reserve - RESERVE_DECAY_S);
    const isSettled = now - this.joinedAt > SETTLE_MS && this.newest.duration <= FREEZE_S;
    if (isSettled && behind > BEHIND_MAX_S + this.reserve - RESERVE_S) {
      this.stats.jumps++;
      this.video.currentTime = end - (this.reserve + this.newest.duration);
      this.margins = [];
    }
    this.#steer(Math.min(...this.margins.map(([, margin]) => margin)));
    this.#forget(KEEP_S);
  }

  #steer(least) {
    const excess = least - this.reserve;
    let rate = 1;
    if (excess > 0.1) rate = 1 + Math.min(0.1, 0.3 * excess);
    else if (excess < -0.1) rate = 0.95;
    if (Math.abs(this.video.playbackRate - rate) > 0.005) this.video.playbackRate = rate;
    if (this.video.paused && !document.hidden) this.video.play().catch(() => {});
  }

  // Out of what is there, one would wait for ever, even while seeking.
  #leaveHole() {
    const ranges = this.buffer.buffered;
    const time = this.video.currentTime;
    for (let i = 0; i < ranges.length; i++) {
      const isLast = i + 1 === ranges.length;
      if (time >= ranges.start(i) - 0.01 && time < ranges.end(i) - (isLast ? 0 : NEAR_END_S)) return false;
      if (time < ranges.start(i)) {
        this.video.currentTime = ranges.start(i) + 0.001;
        return true;
      }
    }
    return false;
  }

  // A browser keeps some hundred megabytes of each stream otherwise.
  #forget(keep) {
    const ranges = this.buffer.buffered;
    const until = this.video.currentTime - keep;
    if (!this.buffer.updating && ranges.length && ranges.start(0) < until - (keep > 1 ? 4 : 0))
      this.buffer.remove(0, until);
  }

  close() {
    this.source = undefined;
    this.buffer = null;
    this.init = null;
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
    this.video.removeAttribute("src");
    this.video.load();
  }
}

/** A grid of streams ("CAMERA/STREAM") in <video>s, from one answer that is asked for anew when it ends. */
export class LiveGrid {
  #closed = false;
  #abort = new AbortController();
  #failures = 0;

  constructor(streams, videos, onChange = () => {}) {
    this.streams = streams;
    this.tiles = videos.map((video) => new Tile(video, onChange));
    this.timer = setInterval(() => this.tiles.forEach((tile) => tile.tick()), TICK_MS);
    this.#run();
  }

  async #run() {
    while (!this.#closed) {
      try {
        await this.#read();
      } catch {
        // The server has gone, or is being restarted.
      }
      if (this.#closed) break;
      const wait = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)];
      await new Promise((done) => setTimeout(done, wait));
    }
  }

  async #read() {
    const list = encodeURIComponent(this.streams.join(","));
    const response = await fetch(`/live/mux?tiles=${list}`, { signal: this.#abort.signal });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    // Another answer begins anew: what is there does not go on.
    this.tiles.forEach((tile) => tile.close());
    for await (const piece of readPieces(response.body)) {
      this.#failures = 0;
      this.tiles[piece.tile]?.take(piece);
    }
  }

  close() {
    this.#closed = true;
    this.#abort.abort();
    clearInterval(this.timer);
    this.tiles.forEach((tile) => tile.close());
  }
}
