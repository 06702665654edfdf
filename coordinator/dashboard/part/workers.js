/** The workers that say that they are there. */

import { api } from "../api.js";
import { fill, h, setAttribute, showAll } from "../dom.js";
import { age, count } from "../format.js";
import { live } from "../live.js";
import { message, section, table } from "../ui.js";

/** Between two looks for news, in milliseconds. */
const PAUSE = 5_000;

export function workerList(signal) {
  const note = message("Loading…");
  const { element: list, body, row } = table("Workers", ["Worker", "Host", "Version", "#Slots", "#Busy", "#Waiting (429)", "Started", "Last heartbeat"]);
  const { element, heading } = section("Workers", {}, note, list);
  const render = (worker) => {
    const name = h("bdi", {}, worker.name);
    const numbers = [count(worker.slots), count(worker.busy), count(worker.waiting)];
    return row([name, h("bdi", {}, worker.host), worker.version, ...numbers, age(worker.startedAt), age(worker.seenAt)]);
  };

  async function load() {
    try {
      const { workers } = await api.workers(signal);
      showAll(body, workers, (worker) => worker.name, render, heading);
      setAttribute(list, "hidden", workers.length === 0);
      setAttribute(note, "hidden", workers.length > 0);
      fill(note, "No worker has said that it is there.");
    } catch (error) {
      if (!signal.aborted) {
        setAttribute(note, "hidden", false);
        fill(note, error.message);
      }
    }
  }

  live.reload(load, PAUSE, signal);
  return { element };
}
