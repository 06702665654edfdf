/** A chart with a bar for each day of a period. Days without a value are gaps. */

import { h, svg } from "../dom.js";
import { now } from "../format.js";

const DAY = 86_400_000;

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });

/**
 * @param {object} chart
 * @param {string} chart.name what it shows
 * @param {string} chart.newest the newest value, in words
 * @param {number} chart.days how many days it has, until today
 * @param {{ day: string, parts: [string, number][] }[]} chart.values the parts of each bar from the ground up, by the
 *   class that colours them
 * @param {(value: number) => string} chart.show
 */
export function dayChart({ name, newest, days, values, show }) {
  const first = Math.floor(now() / DAY) - days + 1;
  const sum = ({ parts }) => parts.reduce((total, [, value]) => total + value, 0);
  const most = Math.max(...values.map(sum), 0);
  const step = 100 / days;
  const bars = values.flatMap((value) => {
    const place = Math.floor(Date.parse(value.day) / DAY) - first;
    return place < 0 || most === 0 ? [] : bar(value, { x: place * step + step * 0.1, width: step * 0.8, most, title: `${day.format(new Date(value.day))}: ${show(sum(value))}` });
  });
  const label = `${name}, a bar a day for ${days} days: at most ${show(most)}. The tables below have the numbers.`;
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, h("span", {}, name), h("strong", {}, newest)),
    h("div", { class: "axis", "aria-hidden": "true" }, h("span", {}, most > 0 && show(most)), h("span", {}, "0")),
    svg("svg", { role: "img", "aria-label": label }, gridLine(0), gridLine(50), gridLine(100), ...bars),
    h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, day.format(new Date(first * DAY))), h("span", {}, "today")),
  );
}

/** A bar, its parts on top of each other. */
function bar({ parts }, { x, width, most, title }) {
  let ground = 100;
  return parts.map(([kind, value]) => {
    const height = (100 * value) / most;
    ground -= height;
    return svg("rect", { x: `${x}%`, y: `${ground}%`, width: `${width}%`, height: `${height}%`, class: kind }, svg("title", {}, title));
  });
}

function gridLine(y) {
  return svg("line", { x1: "0", x2: "100%", y1: `${y}%`, y2: `${y}%` });
}
