/** One run: how it goes or went, and its jobs. */

import { api } from "../api.js";
import { fill, h, setAttribute } from "../dom.js";
import { counted } from "../format.js";
import { live } from "../live.js";
import { message, runRoute, section, shortId } from "../ui.js";
import { comparisonCard } from "../part/outcome/comparison.js";
import { jobTable } from "../part/jobs.js";
import { pager } from "../part/pager.js";
import { reasonList } from "../part/outcome/reasons.js";
import { runCard } from "../part/run-card.js";

const PAGE = 50;

/** Between two looks for news, in milliseconds. */
const PAUSE = 2_000;

const TYPING = 200;

/** Reasons that are shown. */
const REASONS = 20;

const STATES = ["listed", "queued", "running", "completed", "unchanged", "failed", "cancelled", "abandoned", "retried"];

export function run({ id, parameters, signal }) {
  const heading = h("h1", { tabindex: "-1" }, "Run ", h("span", { class: "id", title: id }, shortId(id)));
  const card = runCard({ isCurrent: false });
  const beside = comparisonCard();
  const reasons = reasonList("Failures by reason", { signal, run: id, limit: REASONS });
  const options = [["", "Any state"], ...STATES.map((name) => [name, name])];
  const state = h("select", { id: "state" }, ...options.map(([value, name]) => h("option", { value }, name)));
  state.value = STATES.includes(parameters.get("state")) ? parameters.get("state") : "";
  const search = h("input", { id: "search", type: "search", autocomplete: "off", spellcheck: "false" });
  const jobs = jobTable("Jobs of this run", { of: "store" });
  const note = message("Loading…");
  const pages = pager(() => load().then(() => heading.focus()));
  const filters = h(
    "form",
    { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
    h("div", { class: "grow" }, h("label", { for: "search" }, "Search by store id"), search),
    h("div", {}, h("label", { for: "state" }, "State"), state),
  );
  const list = section("Jobs", {}, filters, note, jobs.element, pages.element);
  const content = h("div", { class: "parts", hidden: true }, card.element, beside.element, reasons.element, list.element);
  const problem = message("Loading…");
  let asked = 0;

  async function load() {
    const turn = (asked += 1);
    const query = { state: state.value, search: search.value.trim(), limit: PAGE, after: pages.after };
    try {
      const asking = [api.run(id, signal), api.jobs(id, query, signal), api.comparison(id, signal)];
      const [newest, page, { comparison }] = await Promise.all(asking);
      if (turn !== asked) {
        return;
      }
      setAttribute(problem, "hidden", true);
      setAttribute(content, "hidden", false);
      card.update(newest);
      beside.update(comparison, newest);
      setAttribute(reasons.element, "hidden", newest.failed + newest.quarantined === 0);
      jobs.update(page.jobs, list.heading);
      pages.update(page.next);
      setAttribute(note, "hidden", page.jobs.length > 0);
      fill(note, `No job of ${counted(newest.stores, "store")} is like that.`);
    } catch (error) {
      if (!signal.aborted) {
        setAttribute(problem, "hidden", false);
        fill(problem, error.message);
      }
    }
  }

  function changed() {
    history.replaceState(null, "", `#/runs/${encodeURIComponent(id)}${state.value && `?state=${state.value}`}`);
    pages.reset();
    load();
  }
  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(changed, TYPING);
  });
  state.addEventListener("change", changed);
  live.reload(load, PAUSE, signal);
  return { title: `Run ${shortId(id)}`, element: h("div", {}, heading, h("p", { class: "back" }, h("a", { href: `${runRoute(id)}/timeline` }, "Timeline: what bounded this run")), problem, content) };
}
