/** Who did what: every change by the dashboard, the API and commands. */

import { api } from "../api.js";
import { fill, h, setAttribute, showAll } from "../dom.js";
import { age, NOTHING } from "../format.js";
import { live } from "../live.js";
import { message, runLink, storeLink, table } from "../ui.js";
import { pager } from "../part/pager.js";

const PAGE = 50;

/** The server is asked when typing pauses for so long, in milliseconds (debounce). */
const TYPING = 200;

/** Between two looks for news, in milliseconds. */
const PAUSE = 5_000;

export function audit({ parameters, signal }) {
  const heading = h("h1", { tabindex: "-1" }, "Audit log");
  const search = h("input", { id: "search", type: "search", value: parameters.get("search") ?? "", autocomplete: "off", spellcheck: "false" });
  const list = table("Audit log, the newest first", ["When", "Who", "From", "What", "Of", "Asked for", "Outcome"]);
  const note = message("Loading…");
  const pages = pager(() => load().then(() => heading.focus()));
  let asked = 0;

  async function load() {
    const turn = (asked += 1);
    try {
      const answer = await api.audit({ search: search.value.trim(), limit: PAGE, after: pages.after }, signal);
      if (turn !== asked) {
        return;
      }
      showAll(list.body, answer.entries, (entry) => entry.id, (entry) => list.row(cells(entry)), heading);
      pages.update(answer.next);
      setAttribute(list.element, "hidden", answer.entries.length === 0);
      setAttribute(note, "hidden", answer.entries.length > 0);
      fill(note, search.value.trim() ? "No entry is like that." : "Nobody has changed anything yet.");
    } catch (error) {
      if (!signal.aborted) {
        setAttribute(note, "hidden", false);
        fill(note, error.message);
      }
    }
  }

  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const text = search.value.trim();
      history.replaceState(null, "", text ? `#/audit?${new URLSearchParams({ search: text })}` : "#/audit");
      pages.reset();
      load();
    }, TYPING);
  });
  live.reload(load, PAUSE, signal);
  const filters = h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() }, h("div", {}, h("label", { for: "search" }, "Search by who, what or id"), search));
  return { title: "Audit log", element: h("div", {}, h("div", { class: "heading" }, heading), filters, note, list.element, pages.element) };
}

function cells({ at, actor, origin, action, subject, detail, outcome }) {
  return [age(at), h("bdi", {}, actor), h("bdi", {}, origin || NOTHING), action, subjectOf(action, subject), detail ? h("code", {}, detail) : NOTHING, outcome ?? "unknown"];
}

function subjectOf(action, subject) {
  if (!subject) {
    return NOTHING;
  }
  if (action.startsWith("store.")) {
    return storeLink(subject);
  }
  return action.startsWith("run.") ? runLink(subject) : h("bdi", { class: "id" }, subject);
}
