/** Numbers, sizes and times as people read them, in the reader's own locale. */

import { h, fill } from "./dom.js";

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000];

/** What stands where there is nothing to say. */
export const NOTHING = "–";

/** The server's clock minus this one, in milliseconds: ages are told by the server's. */
let skew = 0;

/** @param {number | null | undefined} number */
export function count(number) {
  return number === null || number === undefined ? NOTHING : whole.format(number);
}

/** A number with its noun: `counted(1, "store")`. */
export function counted(number, noun, plural = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : plural}`;
}

/** A number of which only the size matters, such as a rate. */
export function roughly(number) {
  return short.format(number);
}

/** @param {number | null | undefined} size in bytes */
export function bytes(size) {
  if (size === null || size === undefined) {
    return NOTHING;
  }
  let power = 0;
  while (power < UNITS.length - 1 && size >= 1_000 * 1_024 ** power) {
    power += 1;
  }
  return `${short.format(size / 1_024 ** power)} ${UNITS[power]}`;
}

/** A span of time in at most two units. */
export function duration(millis) {
  if (millis < SECOND) {
    return `${whole.format(Math.round(millis))} ms`;
  }
  if (millis < MINUTE) {
    return `${short.format(Math.floor(millis / 100) / 10)} s`;
  }
  const two = (large, name, small, smallName) => {
    const [first, second] = [Math.floor(millis / large), Math.floor((millis % large) / small)];
    return second === 0 ? `${count(first)} ${name}` : `${count(first)} ${name} ${second} ${smallName}`;
  };
  if (millis < HOUR) {
    return two(MINUTE, "min", SECOND, "s");
  }
  return millis < DAY ? two(HOUR, "h", MINUTE, "min") : two(DAY, "d", HOUR, "h");
}

/** From `from` to `to`, or to now when that is null. */
export function between(from, to) {
  return from ? duration(Math.max(0, (to ? Date.parse(to) : now()) - Date.parse(from))) : NOTHING;
}

/** Now, by the server's clock. */
export function now() {
  return Date.now() + skew;
}

/** @param {string} time what the server's clock shows */
export function setClock(time) {
  skew = Date.parse(time) - Date.now();
}

/** How long ago something was (or how soon it will be), with the absolute time as its title; it keeps ticking. */
export function age(time) {
  if (!time) {
    return NOTHING;
  }
  const element = h("time", { datetime: time, title: absolute.format(new Date(time)), "data-ticks": true });
  return fill(element, spoken(time));
}

/** Younger than which limit is a snapshot of this time? The names are those of the API. */
export function freshness(time) {
  if (!time) {
    return "never";
  }
  const old = now() - Date.parse(time);
  if (old < HOUR) {
    return "hour";
  }
  return old < 6 * HOUR ? "sixHours" : old < DAY ? "day" : "older";
}

function spoken(time) {
  const passed = now() - Date.parse(time);
  const [size, phrase] = passed < 0 ? [-passed, (text) => `in ${text}`] : [passed, (text) => `${text} ago`];
  const [unit, name] =
    size < MINUTE ? [SECOND, "s"] : size < HOUR ? [MINUTE, "min"] : size < 2 * DAY ? [HOUR, "h"] : [DAY, "d"];
  return phrase(`${count(Math.floor(size / unit))} ${name}`);
}

setInterval(() => {
  for (const element of document.querySelectorAll("time[data-ticks]")) {
    fill(element, spoken(element.dateTime));
  }
}, SECOND);
