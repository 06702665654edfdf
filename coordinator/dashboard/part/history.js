/** How long the last runs took, and how much they made: two small charts over the same runs. */

import { fill, h, svg } from "../dom.js";
import { age, bytes, count, duration } from "../format.js";
import { message, runLink, section, table } from "../ui.js";

/** What is drawn of a run. */
const MEASURES = [
  ["Duration", (run) => Date.parse(run.finishedAt) - Date.parse(run.startedAt), duration],
  ["Size", (run) => run.bytes, bytes],
];

/** Bars of a chart, whether there are as many runs or not: a bar keeps its width. */
const BARS = 20;

export function historyCharts() {
  const charts = h("div", { class: "charts" });
  const list = table("Duration and size of the last runs", ["Run", "Ended", "#Duration", "#Size", "#Stores"]);
  const details = h("details", {}, h("summary", {}, "As a table"), list.element);
  const { element } = section("Duration and size of the last runs", { class: "card" }, charts, details);
  let drawn = "";

  function update(runs) {
    const ended = runs.filter((run) => run.finishedAt).slice(0, BARS);
    const wanted = JSON.stringify(ended);
    if (wanted === drawn) {
      return;
    }
    drawn = wanted;
    details.hidden = ended.length === 0;
    const oldestFirst = ended.toReversed();
    const none = ended.length === 0 && message("No run has ended yet.");
    fill(charts, none || MEASURES.map(([name, of, show]) => chart(name, oldestFirst.map((run) => [run, of(run)]), show)));
    fill(
      list.body,
      ...ended.map((run) => {
        const [time, size] = MEASURES.map(([, of, show]) => show(of(run)));
        return list.row([runLink(run.runId), age(run.finishedAt), time, size, count(run.stores)]);
      }),
    );
  }
  return { element, update };
}

/** @param {[object, number][]} values of each run, the oldest first */
function chart(name, values, show) {
  const most = Math.max(...values.map(([, value]) => value), 1);
  const step = 100 / BARS;
  const bars = values.map(([run, value], index) => {
    const height = Math.max((100 * value) / most, 1);
    const x = 100 - (values.length - index) * step + step * 0.12;
    const place = { x: `${x}%`, y: `${100 - height}%`, width: `${step * 0.76}%`, height: `${height}%` };
    return svg("rect", { ...place, class: run.failed > 0 ? "with-failures" : null }, svg("title", {}, `${show(value)}, ${run.state}`));
  });
  const last = show(values.at(-1)[1]);
  const label = `${name} of the last ${values.length} runs: at most ${show(most)}, the newest ${last}. The table below has all numbers.`;
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, h("span", {}, name), h("strong", {}, last)),
    h("div", { class: "axis", "aria-hidden": "true" }, h("span", {}, show(most)), h("span", {}, show(most / 2)), h("span", {}, "0")),
    svg("svg", { role: "img", "aria-label": label }, gridLine(0), gridLine(50), gridLine(100), ...bars),
    h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, "older"), h("span", {}, "newest")),
  );
}

function gridLine(y) {
  return svg("line", { x1: "0", x2: "100%", y1: `${y}%`, y2: `${y}%` });
}
