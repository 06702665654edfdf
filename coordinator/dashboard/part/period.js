/** A page of figures: over which days, and the same figures as a file. */

import { api } from "../api.js";
import { fill, h, setAttribute } from "../dom.js";
import { live } from "../live.js";
import { actionButton, message } from "../ui.js";

/** Between two looks for news, in milliseconds. */
const PAUSE = 10_000;

/** How often there is a look although the overview does not change. */
const LOOK = 30_000;

const PERIODS = [
  ["1", "The last day"],
  ["7", "The last 7 days"],
  ["30", "The last 30 days"],
  ["90", "The last 90 days"],
  ["365", "The last 365 days"],
];

/**
 * @param {{ parameters: URLSearchParams, signal: AbortSignal }} context
 * @param {object} page
 * @param {string} page.title
 * @param {string} page.route the page's address
 * @param {string} page.path what is asked; `path.csv` is the file
 * @param {(query: { days: string }, signal: AbortSignal) => Promise<object>} page.load asks it
 * @param {HTMLElement[]} page.parts what `show` fills
 * @param {(answer: object, days: number) => Node | string | (Node | string)[] | null} page.show fills the parts, or returns
 *   why there is nothing to be shown
 */
export function figuresPage({ parameters, signal }, page) {
  const heading = h("h1", { tabindex: "-1" }, page.title);
  const select = h("select", { id: "period" }, ...PERIODS.map(([value, name]) => h("option", { value }, name)));
  const wanted = parameters.get("days");
  select.value = PERIODS.some(([value]) => value === wanted) ? wanted : "30";
  const note = message("Loading…");
  const content = h("div", { class: "parts", hidden: true }, ...page.parts);
  let shown = "";
  let asked = 0;

  async function load() {
    const turn = (asked += 1);
    const days = select.value;
    try {
      const answer = await page.load({ days }, signal);
      // The period ends at the time of asking, and that alone is no news.
      const news = JSON.stringify({ ...answer, since: days, until: null });
      if (turn === asked && news !== shown) {
        shown = news;
        tell(page.show(answer, Number(days)));
      }
    } catch (error) {
      if (!signal.aborted) {
        shown = "";
        tell(error.message);
      }
    }
  }

  /** Says why there is nothing, or shows the parts. */
  function tell(nothing) {
    setAttribute(note, "hidden", !nothing);
    setAttribute(content, "hidden", Boolean(nothing));
    fill(note, nothing);
  }

  select.addEventListener("change", () => {
    history.replaceState(null, "", `${page.route}?days=${select.value}`);
    load();
  });
  live.reload(load, PAUSE, signal);
  // Devices change nothing that the overview tells of.
  const timer = setInterval(load, LOOK);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  const buttons = h("div", { class: "buttons" }, exportButton(`${page.path}.csv`, () => ({ days: select.value })));
  const filters = h("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, h("div", {}, h("label", { for: "period" }, "Period"), select));
  return { title: page.title, element: h("div", {}, h("div", { class: "heading" }, heading, buttons), filters, note, content) };
}

/** A button that saves the figures of `path` as a file. */
function exportButton(path, query) {
  return actionButton("Export as CSV", async () => {
    saveAs(await api.csv(path, query()), path.split("/").at(-1));
    return null;
  });
}

/** Has the browser save `content` as a file. */
export function saveAs(content, name) {
  const url = URL.createObjectURL(content);
  h("a", { href: url, download: name }).click();
  // The browser has begun to save it by the next turn.
  setTimeout(() => URL.revokeObjectURL(url));
}
