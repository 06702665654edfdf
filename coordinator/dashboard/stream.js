/**
 * Server-sent events over fetch: EventSource cannot send an Authorization header.
 * The format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */

import { ask } from "./api.js";

/** Between two attempts to connect, in milliseconds; doubles from the first to the last. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

/** The server says something at least every 15 s; a connection that is silent for longer than this is dead. */
const SILENCE = 40_000;

/** @typedef {{ kind: "connecting" } | { kind: "connected" } | { kind: "waiting", until: number }} Connection */

/**
 * Listens until `signal` aborts or the server refuses.
 * @param {string} path
 * @param {{ onEvent: (name: string, data: string) => void, onConnection: (state: Connection) => void }} listener
 * @param {AbortSignal} signal
 */
export async function listen(path, { onEvent, onConnection }, signal) {
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    onConnection({ kind: "connecting" });
    try {
      await readAll(path, signal, onEvent, () => {
        pause = FIRST_PAUSE;
        onConnection({ kind: "connected" });
      });
    } catch (error) {
      if (signal.aborted || error.isAboutAccess) {
        return;
      }
    }
    // A little chance, so that not all dashboards come back at once.
    const wait = pause * (0.75 + Math.random() / 2);
    onConnection({ kind: "waiting", until: Date.now() + wait });
    await passed(wait, signal);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
}

/** One connection, from its beginning to its end. */
async function readAll(path, signal, onEvent, onOpen) {
  const connection = new AbortController();
  const abort = () => connection.abort();
  signal.addEventListener("abort", abort);
  let silence = setTimeout(abort, SILENCE);
  try {
    const headers = { Accept: "text/event-stream" };
    const response = await ask(path, { headers, signal: connection.signal });
    onOpen();
    const parse = parser(onEvent);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      clearTimeout(silence);
      silence = setTimeout(abort, SILENCE);
      parse(part.value);
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener("abort", abort);
  }
}

/** Takes the stream's text in whatever parts it arrives, and tells each event when it is complete. */
export function parser(onEvent) {
  let unread = "";
  let name = "message";
  let data = [];
  const takeLine = (line) => {
    if (line === "") {
      if (data.length > 0) {
        onEvent(name, data.join("\n"));
      }
      [name, data] = ["message", []];
      return;
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === "event") {
      name = value;
    } else if (field === "data") {
      data.push(value);
    }
  };
  return (text) => {
    const lines = (unread + text).split(/\r\n|\n/);
    unread = lines.pop();
    lines.forEach(takeLine);
  };
}

/** Resolves after `millis`, or when `signal` aborts. */
function passed(millis, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, millis);
    signal.addEventListener("abort", () => [clearTimeout(timer), resolve()], { once: true });
  });
}
