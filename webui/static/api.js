// The server's answers.

/** An answer that is an error, with the server's own words. */
export class ApiError extends Error {
  constructor(message, code, details) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

async function fail(response) {
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    // Not one of ours: a proxy's page, perhaps.
  }
  throw new ApiError(error.message ?? `The server answered ${response.status}.`, error.code, error);
}

export async function getJson(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  if (!response.ok) await fail(response);
  return response.json();
}

/** {ok, reasons} of the whole daemon. */
export async function getHealth() {
  try {
    const body = await (await fetch("/healthz")).json();
    return { ok: body.status === "ok", reasons: body.reasons ?? [] };
  } catch {
    return { ok: false, reasons: ["the server does not answer"] };
  }
}

/** All segments that intersect the range, page by page. */
export async function getSegments(camera, stream, start, end) {
  const segments = [];
  let cursor = null;
  do {
    const query = new URLSearchParams({ start, end, limit: "10000" });
    if (cursor !== null) query.set("cursor", cursor);
    const page = await getJson(`/api/v1/cameras/${camera}/${stream}/segments?${query}`);
    segments.push(...page.segments);
    cursor = page.cursor;
  } while (cursor !== null);
  return segments;
}

/** What a range would be: size and exact times, without its bytes. */
export async function headVideo(path) {
  const response = await fetch(path, { method: "HEAD" });
  if (!response.ok) await fail(await fetch(path)); // a HEAD's error has no body
  return {
    bytes: Number(response.headers.get("Content-Length")),
    start: Date.parse(response.headers.get("X-Keepframe-Start")),
    end: Date.parse(response.headers.get("X-Keepframe-End")),
    leadInMs: Number(response.headers.get("X-Keepframe-Lead-In-Ms")),
  };
}
