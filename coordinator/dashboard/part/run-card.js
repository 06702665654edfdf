/** One run's progress: a bar, the numbers behind it, and what can be done about it. */

import { api } from "../api.js";
import { askFirst } from "../dialog.js";
import { fill, h, setAttribute, svg } from "../dom.js";
import { age, between, bytes, count, counted, duration, NOTHING, now, roughly } from "../format.js";
import { live } from "../live.js";
import { session } from "../session.js";
import { actionButton, announce, badge, facts, message, notify, retryButton, runLink, section } from "../ui.js";
import { startButton } from "./start-run.js";

/** Progress is read out no more often than this, in milliseconds. */
const ANNOUNCE_EVERY = 15_000;

/** The parts of the bar, in their order. */
const PARTS = [
  ["seeded", "Seeded", (run) => run.seeded],
  ["failed", "Failed", (run) => run.failed],
  ["dropped", "Dropped", (run) => run.cancelled + run.abandoned],
  ["dropped", "Quarantined", (run) => run.quarantined],
  ["going", "In flight", (run) => run.inFlight],
];

/** @param {{ isCurrent: boolean }} options whether this is the run that the overview shows, whichever it is */
export function runCard({ isCurrent }) {
  const bar = progressBar();
  const numbers = h("div");
  const changes = h("p", { class: "about", hidden: true });
  const about = h("p", { class: "about" });
  const buttons = h("div", { class: "buttons" });
  const start = isCurrent ? startButton() : null;
  const { element, heading } = section("Progress", { class: "card run", actions: [buttons] }, about, changes, bar.element, numbers);
  let announced = 0;
  let shownButtons = "";

  /** @param {object | null} run */
  function update(run) {
    setAttribute(bar.element, "hidden", !run);
    setAttribute(changes, "hidden", !run?.configChanges?.length);
    fill(changes, (run?.configChanges ?? []).map(configChange).join(" "));
    if (isCurrent) {
      fill(heading, run?.state === "running" ? "Run in progress" : "Last run");
    }
    if (!run) {
      fill(about, "There was no run yet.");
      fill(numbers);
      fill(buttons, start);
      return;
    }
    const time = run.state === "running" ? ["started ", age(run.startedAt)] : ["ended ", age(run.finishedAt)];
    fill(about, badge(run.state), isCurrent && runLink(run.runId), h("span", {}, run.kind), h("span", {}, ...time));
    bar.update(run);
    fill(numbers, facts(figures(run)));
    const wanted = JSON.stringify([run.runId, run.state, run.failed > 0]);
    if (wanted !== shownButtons) {
      shownButtons = wanted;
      fill(buttons, ...actions(run), run.state === "running" ? null : start);
    }
    if (run.state === "running" && Date.now() - announced > ANNOUNCE_EVERY) {
      announced = Date.now();
      announce(inWords(run));
    }
  }
  return { element, update };
}

function figures(run) {
  const over = run.stores - run.inFlight;
  const millis = (run.finishedAt ? Date.parse(run.finishedAt) : now()) - Date.parse(run.startedAt);
  const isRunning = run.state === "running" && run.inFlight > 0;
  const pace = (what, done) => (isRunning && live.pace(what)) || (millis > 0 ? (done / millis) * 1_000 : 0);
  const stores = pace("over", over);
  // Stores differ in size: what is left is counted in rows as soon as those are known.
  const [rest, speed] = run.rowsLeft > 0 ? [run.rowsLeft, pace("rows", run.rows)] : [run.inFlight, stores];
  const left = speed > 0 ? `~ ${duration((rest / speed) * 1_000)}` : "not known yet";
  return [
    ...PARTS.map(([kind, name, of]) => [h("span", { class: `key ${kind}` }, name), count(of(run))]),
    ["Rows", run.rowsLeft > 0 ? `${count(run.rows)} of ~ ${count(run.rows + run.rowsLeft)}` : count(run.rows)],
    ["Size", bytes(run.bytes)],
    ["Stores a second", stores > 0 ? roughly(stores) : NOTHING],
    isRunning ? ["Time left", left] : ["Took", between(run.startedAt, run.finishedAt)],
  ];
}

function configChange({ from, to, stores }) {
  return `Sync config changed: ${from} → ${to}; ${counted(stores, "store")} downloaded in full.`;
}

function inWords(run) {
  const failed = run.failed > 0 ? `, ${count(run.failed)} failed` : "";
  return `${count(run.seeded)} of ${counted(run.stores, "store")} seeded${failed}.`;
}

function actions(run) {
  const retry = run.failed > 0 && retryButton("Retry all failed", run.runId, null);
  const cancel = run.state === "running" && session.may("operator") && h("button", { type: "button", onclick: () => cancelRun(run) }, "Cancel the run");
  return [retry, cancel];
}

function cancelRun(run) {
  askFirst({
    title: "Cancel this run?",
    content: [h("p", {}, "Stores that no worker has started are dropped. Those that have been started continue, and every store keeps the snapshot that it has.")],
    yes: "Cancel the run",
    no: "Let it continue",
    dangerous: true,
    act: async () => {
      const { cancelled, goingOn } = await api.cancel(run.runId);
      notify(`${counted(cancelled, "store")} dropped; ${count(goingOn)} continue.`);
    },
  });
}

/** A bar of all stores of a run, divided by what became of them. */
function progressBar() {
  const rects = PARTS.map(([kind]) => svg("rect", { class: kind, y: "0", height: "100%" }));
  const share = h("span", { class: "share" });
  const picture = svg("svg", { "aria-hidden": "true", focusable: "false" }, ...rects);
  const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Stores that are done", "aria-valuemin": "0" }, picture);
  const update = (run) => {
    const total = Math.max(run.stores, 1);
    let x = 0;
    PARTS.forEach(([, , of], index) => {
      const width = (100 * of(run)) / total;
      setAttribute(rects[index], "x", `${x}%`);
      setAttribute(rects[index], "width", `${width}%`);
      x += width;
    });
    const over = run.stores - run.inFlight;
    setAttribute(bar, "aria-valuemax", total);
    setAttribute(bar, "aria-valuenow", over);
    setAttribute(bar, "aria-valuetext", inWords(run));
    // Not 100 before everything is over.
    fill(share, `${Math.floor((100 * over) / total)} %`);
  };
  return { element: h("div", { class: "progress" }, bar, share), update };
}
