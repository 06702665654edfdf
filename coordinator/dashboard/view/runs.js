/** Runs as a table, and the list of all of them. */

import { api } from "../api.js";
import { fill, h, setAttribute, showAll } from "../dom.js";
import { age, between, bytes, count } from "../format.js";
import { live } from "../live.js";
import { badge, message, runLink, table } from "../ui.js";
import { pager } from "../part/pager.js";
import { startButton } from "../part/start-run.js";

const PAGE = 50;

/** Between two looks for news, in milliseconds. */
const PAUSE = 2_000;

const STATES = ["running", "completed", "failed", "cancelled", "abandoned"];

/** @param {string} label */
export function runTable(label) {
  const columns = ["Run", "State", "Kind", "Started", "#Took", "#Stores", "#Seeded", "#Failed", "#Dropped", "#Rows", "#Size"];
  const { element, body, row } = table(label, columns);
  const render = (run) => {
    const failed = run.failed > 0 ? h("strong", { class: "bad-text" }, count(run.failed)) : "0";
    const took = run.finishedAt ? between(run.startedAt, run.finishedAt) : null;
    const numbers = [count(run.stores), count(run.seeded), failed, count(run.cancelled + run.abandoned), count(run.rows), bytes(run.bytes)];
    return row([runLink(run.runId), badge(run.state), run.kind, age(run.startedAt), took, ...numbers]);
  };
  const update = (runs, fallback) => {
    setAttribute(element, "hidden", runs.length === 0);
    showAll(body, runs, (run) => run.runId, render, fallback);
  };
  return { element, update };
}

export function runs({ parameters, signal }) {
  const heading = h("h1", { tabindex: "-1" }, "Runs");
  const options = [["", "Any state"], ...STATES.map((name) => [name, name])];
  const state = h("select", { id: "state" }, ...options.map(([value, name]) => h("option", { value }, name)));
  state.value = STATES.includes(parameters.get("state")) ? parameters.get("state") : "";
  const list = runTable("Runs");
  const note = message("Loading…");
  const pages = pager(() => load().then(() => heading.focus()));

  async function load() {
    try {
      const answer = await api.runs({ state: state.value, limit: PAGE, after: pages.after }, signal);
      list.update(answer.runs, heading);
      pages.update(answer.next);
      setAttribute(note, "hidden", answer.runs.length > 0);
      fill(note, state.value ? "No run is in this state." : "There was no run yet.");
    } catch (error) {
      if (!signal.aborted) {
        setAttribute(note, "hidden", false);
        fill(note, error.message);
      }
    }
  }

  state.addEventListener("change", () => {
    history.replaceState(null, "", state.value ? `#/runs?state=${state.value}` : "#/runs");
    pages.reset();
    load();
  });
  live.reload(load, PAUSE, signal);
  const filters = h("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, h("div", {}, h("label", { for: "state" }, "State"), state));
  const top = h("div", { class: "heading" }, heading, h("div", { class: "buttons" }, startButton()));
  return { title: "Runs", element: h("div", {}, top, filters, note, list.element, pages.element) };
}
