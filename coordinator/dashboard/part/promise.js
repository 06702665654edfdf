/** Whether snapshots were as young as was promised: a small chart of 30 days, and what is left of the error budget. */

import { api } from "../api.js";
import { fill, h, setAttribute, svg } from "../dom.js";
import { counted, duration, now } from "../format.js";
import { live } from "../live.js";
import { facts, message, section, table } from "../ui.js";

/** Between two looks for news, in milliseconds. */
const PAUSE = 60_000;

const DAY = 86_400_000;
const DAYS = 30;

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });

export function promiseCard(signal) {
  const words = h("p", { class: "promise" });
  const numbers = h("div");
  const chart = h("div", { class: "charts below" });
  const note = message();
  const list = table("Freshness of each day", ["Day", "#Fresh", "Promise"]);
  const details = h("details", {}, h("summary", {}, "As a table"), list.element);
  const { element } = section("Freshness over 30 days", { class: "card" }, words, numbers, chart, note, details);

  async function load() {
    try {
      show(await api.freshness(signal));
    } catch (error) {
      if (!signal.aborted) {
        setAttribute(note, "hidden", false);
        fill(note, error.message);
      }
    }
  }

  function show(of) {
    const { ageSeconds, objective, stores, fresh, share, budgetLeft, days } = of;
    fill(words, `Promised: ${percent(objective)} of stores have a snapshot younger than ${duration(ageSeconds * 1_000)}.`);
    fill(numbers, facts([
      ["Now", stores > 0 ? told(fresh / stores >= objective, `${percent(fresh / stores)} of ${counted(stores, "store")}`) : "no run has ended yet"],
      ["Over 30 days", share === null ? "not known yet" : told(share >= objective, percent(share))],
      ["Error budget", budgetLeft === null ? "not known yet" : told(budgetLeft > 0, budget(budgetLeft))],
    ]));
    setAttribute(note, "hidden", days.length > 0);
    fill(note, "It is recorded once an hour.");
    setAttribute(details, "hidden", days.length === 0);
    fill(chart, days.length > 0 && picture(days, objective));
    fill(list.body, ...days.toReversed().map((of) => list.row([day.format(new Date(of.day)), percent(of.share), of.kept ? "kept" : h("strong", { class: "bad-text" }, "missed")])));
  }

  live.reload(load, PAUSE, signal);
  return { element };
}

/** What is as promised, or is not: told by a word and not by its colour alone. */
function told(isKept, text) {
  return isKept ? text : h("span", { class: "bad-text" }, text, h("div", { class: "meta" }, "missed"));
}

/** A share as a percentage that does not round a miss away. */
function percent(share) {
  const hundredths = Math.floor(share * 100_00) / 100;
  return `${hundredths.toLocaleString()} %`;
}

function budget(left) {
  return left >= 0 ? `${Math.floor(left * 100)} % left` : `spent ${Math.floor((1 - left) * 10) / 10} times`;
}

/** A bar a day; the scale begins a little below the promise, or below the worst day. */
function picture(days, objective) {
  const worst = Math.min(...days.map(({ share }) => share));
  const ground = Math.max(0, Math.min(worst, objective) - (1 - Math.min(worst, objective)) * 0.5);
  const place = (share) => (100 * (share - ground)) / (1 - ground);
  const first = Math.floor(now() / DAY) - DAYS + 1;
  const step = 100 / DAYS;
  const bars = days.map((of) => {
    const x = (Math.floor(Date.parse(of.day) / DAY) - first) * step + step * 0.1;
    const height = Math.max(place(of.share), 1);
    const title = `${day.format(new Date(of.day))}: ${percent(of.share)}${of.kept ? "" : ", missed"}`;
    return svg("rect", { x: `${x}%`, y: `${100 - height}%`, width: `${step * 0.8}%`, height: `${height}%`, class: of.kept ? null : "with-failures" }, svg("title", {}, title));
  });
  const y = `${100 - place(objective)}%`;
  const missed = days.filter(({ kept }) => !kept).length;
  const label = `Share of fresh stores, a bar a day for ${DAYS} days: ${missed === 0 ? "the promise was kept on each" : `missed on ${counted(missed, "day")}`}. The table below has the numbers.`;
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, h("span", {}, "Share of fresh stores"), h("strong", {}, percent(days.at(-1).share))),
    h("div", { class: "axis", "aria-hidden": "true" }, h("span", {}, "100 %"), h("span", {}, percent(ground))),
    svg("svg", { role: "img", "aria-label": label }, ...bars, svg("line", { class: "promised", x1: "0", x2: "100%", y1: y, y2: y }, svg("title", {}, `promised: ${percent(objective)}`))),
    h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, day.format(new Date(first * DAY))), h("span", {}, "today")),
  );
}
