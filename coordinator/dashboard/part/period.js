/** Which days a page of figures is about, and the same figures as a file. */

import { api } from "../api.js";
import { h } from "../dom.js";
import { actionButton } from "../ui.js";

const PERIODS = [
  ["1", "The last day"],
  ["7", "The last 7 days"],
  ["30", "The last 30 days"],
  ["90", "The last 90 days"],
  ["365", "The last 365 days"],
];

/**
 * @param {string} route the page's address
 * @param {URLSearchParams} parameters of that address
 * @param {() => void} onChange
 */
export function periodFilter(route, parameters, onChange) {
  const select = h("select", { id: "period" }, ...PERIODS.map(([value, name]) => h("option", { value }, name)));
  const asked = parameters.get("days");
  select.value = PERIODS.some(([value]) => value === asked) ? asked : "30";
  select.addEventListener("change", () => {
    history.replaceState(null, "", `${route}?days=${select.value}`);
    onChange();
  });
  const field = h("div", {}, h("label", { for: "period" }, "Period"), select);
  const element = h("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, field);
  return { element, query: () => ({ days: select.value }) };
}

/** A button that saves the figures of `path` as a file. */
export function exportButton(path, query) {
  return actionButton("Export as CSV", async () => {
    const url = URL.createObjectURL(await api.csv(path, query()));
    h("a", { href: url, download: path.split("/").at(-1) }).click();
    // The browser has begun to save it by the next turn.
    setTimeout(() => URL.revokeObjectURL(url));
    return null;
  });
}
