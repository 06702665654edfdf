/** What the server tells all the time: the newest overview, for every view that wants to know. */

import { setClock, now } from "./format.js";
import { listen } from "./stream.js";

/** Pace is measured over the last so many milliseconds, and not over less than the second one. */
const WINDOW = 30_000;
const ENOUGH = 3_000;

class Live {
  /** The newest overview; null before the first one. */
  overview = null;
  #listeners = new Set();
  #connection = null;
  /** How many jobs of the current run were over at which time, and how many rows they had. */
  #samples = [];

  /** Connects; `onConnection` hears how that goes. */
  start(onConnection) {
    this.stop();
    this.#connection = new AbortController();
    const onEvent = (name, data) => name === "overview" && this.#take(JSON.parse(data));
    listen("/api/events", { onEvent, onConnection }, this.#connection.signal);
  }

  stop() {
    this.#connection?.abort();
    this.#connection = null;
    this.overview = null;
    this.#samples = [];
  }

  /** Calls `listener` with the overview, now if there is one and whenever it changes, until `signal` aborts. */
  subscribe(listener, signal) {
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener), { once: true });
    if (this.overview) {
      listener(this.overview);
    }
  }

  /**
   * Calls `load` now and whenever the overview has changed, but with `pause` milliseconds between two calls and not
   * before the one before is done.
   */
  reload(load, pause, signal) {
    let [running, again] = [false, false];
    const turn = async () => {
      if (running) {
        again = true;
        return;
      }
      [running, again] = [true, false];
      await load();
      setTimeout(() => {
        running = false;
        if (again && !signal.aborted) {
          turn();
        }
      }, pause);
    };
    this.#listeners.add(turn);
    signal.addEventListener("abort", () => this.#listeners.delete(turn), { once: true });
    turn();
  }

  /**
   * Stores or rows a second of the current run; null as long as it is unknown.
   * @param {"over" | "rows"} what
   */
  pace(what) {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    const [done, millis] = first ? [last[what] - first[what], now() - first.at] : [0, 0];
    return millis >= ENOUGH && done > 0 ? (done / millis) * 1_000 : null;
  }

  #take(overview) {
    setClock(overview.now);
    this.overview = overview;
    this.#sample(overview.currentRun);
    for (const listener of [...this.#listeners]) {
      listener(overview);
    }
  }

  #sample(run) {
    if (!run || run.runId !== this.#samples[0]?.runId) {
      this.#samples = [];
    }
    if (run) {
      const kept = this.#samples.filter(({ at }) => now() - at <= WINDOW);
      this.#samples = [...kept, { runId: run.runId, at: now(), over: run.stores - run.inFlight, rows: run.rows }];
    }
  }
}

export const live = new Live();
