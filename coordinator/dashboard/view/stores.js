/** The list of stores: searched by the server as one types, filtered, a page at a time. */

import { api } from "../api.js";
import { fill, h, setAttribute, showAll } from "../dom.js";
import { age, bytes, count, counted, freshness } from "../format.js";
import { live } from "../live.js";
import { announce, badge, message, retryButton, seedButton, storeLink, table } from "../ui.js";
import { AGES } from "../part/freshness.js";
import { reason } from "../part/jobs.js";
import { pager } from "../part/pager.js";

const PAGE = 50;

/** The server is asked when typing pauses for so long, in milliseconds (debounce). */
const TYPING = 200;

/** Between two looks for news, in milliseconds. */
const PAUSE = 2_000;

/** States of a store's newest job. */
const STATES = ["listed", "queued", "running", "completed", "unchanged", "failed", "cancelled", "abandoned"];

export function stores({ parameters, signal }) {
  const initial = (name) => parameters.get(name) ?? "";
  const search = h("input", { id: "search", type: "search", value: initial("search"), autocomplete: "off", spellcheck: "false" });
  const fresh = select("freshness", [["", "Any age"], ...AGES], initial("freshness"));
  const state = select("state", [["", "Any state"], ...STATES.map((name) => [name, name])], initial("state"));
  const quarantined = select("quarantined", [["", "In or out"], ["true", "Only those in it"]], initial("quarantined"));
  const filters = { search, freshness: fresh, state, quarantined };
  const found = h("p", { class: "lead", role: "status" }, "Loading…");
  const heading = h("h1", { tabindex: "-1" }, "Stores");
  const list = table("Stores", ["Store", "Snapshot", "#Rows", "#Size", "Newest job", "Reason", "-Actions"]);
  const pages = pager(() => load().then(() => heading.focus()));
  const none = message();
  let asked = 0;

  async function load() {
    const turn = (asked += 1);
    const values = Object.entries(filters).map(([name, field]) => [name, field.value.trim()]);
    try {
      const query = { ...Object.fromEntries(values), limit: PAGE, after: pages.after };
      const answer = await api.stores(query, signal);
      if (turn === asked) {
        show(answer, values.some(([, value]) => value));
      }
    } catch (error) {
      if (!signal.aborted) {
        fill(found, error.message);
      }
    }
  }

  function show({ stores: page, next, total }, isFiltered) {
    fill(found, `${counted(total, "store")}${isFiltered ? " found" : ""}`);
    setAttribute(list.element, "hidden", page.length === 0);
    setAttribute(none, "hidden", page.length > 0);
    fill(none, isFiltered ? "No store is like that. Try less of its id, or another filter." : "No store is known yet: start a run.");
    showAll(list.body, page, (store) => store.storeId, (store) => list.row(storeCells(store)), heading);
    pages.update(next);
  }

  function changed() {
    const given = Object.entries(filters).filter(([, field]) => field.value.trim());
    const query = new URLSearchParams(given.map(([name, field]) => [name, field.value.trim()]));
    history.replaceState(null, "", given.length > 0 ? `#/stores?${query}` : "#/stores");
    pages.reset();
    load();
  }

  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(changed, TYPING);
  });
  fresh.addEventListener("change", changed);
  state.addEventListener("change", changed);
  quarantined.addEventListener("change", changed);
  live.reload(load, PAUSE, signal);

  const form = h(
    "form",
    { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
    h("div", { class: "grow" }, h("label", { for: "search" }, "Search by id"), search),
    h("div", {}, h("label", { for: "freshness" }, "Snapshot"), fresh),
    h("div", {}, h("label", { for: "state" }, "Newest job"), state),
    h("div", {}, h("label", { for: "quarantined" }, "Quarantine"), quarantined),
  );
  return { title: "Stores", element: h("div", {}, heading, form, found, none, list.element, pages.element) };
}

function select(id, options, value) {
  const element = h("select", { id }, ...options.map(([key, name]) => h("option", { value: key }, name)));
  element.value = options.some(([key]) => key === value) ? value : "";
  return element;
}

function storeCells({ storeId, snapshotAt, rows, bytes: size, job, retired, quarantine }) {
  const snapshot = h("span", { class: "aged" }, h("span", { class: `swatch fill-${freshness(snapshotAt)}` }), snapshotAt ? age(snapshotAt) : "never");
  const properties = { class: "small" };
  const act =
    job?.state === "failed"
      ? retryButton("Retry", job.runId, [storeId], { ...properties, "aria-label": `Retry ${storeId}` })
      : !retired && seedButton(storeId, { ...properties, "aria-label": `Seed now: ${storeId}` });
  const state = h("span", { class: "badges" }, job ? badge(job.state) : "none", retired && badge("retired"), quarantine && badge("quarantined"));
  const cells = [storeLink(storeId), snapshot, count(rows), bytes(size), state, reason(job?.failure), h("div", { class: "buttons" }, act)];
  return cells;
}
