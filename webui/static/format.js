// Times and sizes as text, in the reader's own time zone; and as the API wants them.

const two = (number) => String(number).padStart(2, "0");

/** "2026-03-31" of local time. */
export function dayText(date) {
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** "07:30:00", with milliseconds when asked for. */
export function clockText(ms, precise = false) {
  const date = new Date(ms);
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return precise ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

/** "2026-03-31 07:30:00" of local time. */
export function momentText(ms, precise = false) {
  return `${dayText(new Date(ms))} ${clockText(ms, precise)}`;
}

/** "2026-03-31 07:30 – 09:12", the day said once when it is one day. */
export function extentText(from, to) {
  const minute = (ms) => clockText(ms).slice(0, 5);
  const day = dayText(new Date(from)) === dayText(new Date(to)) ? "" : `${dayText(new Date(to))} `;
  return `${dayText(new Date(from))} ${minute(from)} – ${day}${minute(to)}`;
}

/** What an input of type datetime-local holds. */
export function inputText(ms) {
  return `${dayText(new Date(ms))}T${clockText(ms, true)}`;
}

/** Midnight of a "YYYY-MM-DD", and the next one: a day with a change of clocks is 23 or 25 h long. */
export function dayBounds(text) {
  const [year, month, day] = text.split("-").map(Number);
  return [new Date(year, month - 1, day).getTime(), new Date(year, month - 1, day + 1).getTime()];
}

export function shiftDay(text, days) {
  const [year, month, day] = text.split("-").map(Number);
  return dayText(new Date(year, month - 1, day + days));
}

export function lengthText(ms) {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}

export function sizeText(bytes) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit + 1 < units.length) {
    bytes /= 1000;
    unit++;
  }
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

/** A time as the API wants it. */
export function apiTime(ms) {
  return new Date(ms).toISOString();
}
