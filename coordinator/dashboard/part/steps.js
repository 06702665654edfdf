/** What the time of a job went into. */

import { h, svg } from "../dom.js";
import { duration } from "../format.js";

/** Steps that have a colour of their own, in the order of the job; see the style sheet. */
const COLOURED = ["token", "compare", "fetch", "sync", "scrub", "vacuum", "verify", "compact", "stream", "seal", "forms", "upload"];

/** The class that colours a step. */
export const colour = (step) => (COLOURED.includes(step) ? `step-${step}` : "step-other");

/** All steps as parts of one bar, with their sum next to it. */
export function stepBar(steps) {
  const total = steps.reduce((sum, { millis }) => sum + millis, 0);
  let x = 0;
  const rects = steps.map(({ step, millis }) => {
    const width = (100 * millis) / Math.max(total, 1);
    const rect = svg("rect", { class: colour(step), x: `${x}%`, y: "0", width: `${width}%`, height: "100%" }, svg("title", {}, `${step}: ${duration(millis)}`));
    x += width;
    return rect;
  });
  const picture = svg("svg", { "aria-hidden": "true", focusable: "false" }, ...rects);
  return h("span", { class: "step-bar" }, picture, h("span", {}, duration(total)));
}

/** Each step with its duration. */
export function stepsInWords(steps) {
  const items = steps.map(({ step, millis }) =>
    h("li", {}, h("span", { class: `swatch ${colour(step)}` }), h("span", { class: "name" }, step), h("span", { class: "amount" }, duration(millis))),
  );
  return h("ul", { class: "step-list" }, ...items);
}
