/** The question which stores a new run shall seed. */

import { api } from "../api.js";
import { askFirst } from "../dialog.js";
import { h } from "../dom.js";
import { counted } from "../format.js";
import { session } from "../session.js";
import { notify } from "../ui.js";

const AGES = [
  ["", "of any age"],
  ["1h", "older than 1 hour"],
  ["6h", "older than 6 hours"],
  ["1d", "older than 1 day"],
];

/** The button that asks it; nothing for who may not. */
export function startButton() {
  return session.may("operator") && h("button", { type: "button", class: "primary", onclick: startRun }, "Start a run");
}

function startRun() {
  const older = h("select", { id: "older" }, ...AGES.map(([value, name]) => h("option", { value }, name)));
  const limit = h("input", { id: "limit", type: "number", min: "1", step: "1", inputmode: "numeric", placeholder: "all" });
  const full = h("input", { id: "full", type: "checkbox" });
  const fewer = h("input", { id: "fewer", type: "checkbox" });
  askFirst({
    title: "Start a run",
    content: [
      h("p", {}, "Seeds the stores of the list, except those that are being seeded already."),
      h("label", { for: "older" }, "Stores whose snapshot is"),
      older,
      h("label", { for: "limit" }, "At most this many stores"),
      limit,
      h("label", { class: "check", for: "full" }, full, "Download every row, not only what has changed"),
      h("label", { class: "check", for: "fewer" }, fewer, "Go on even if the list has become much shorter"),
    ],
    yes: "Start",
    act: async () => {
      const listed = await api.startRun({
        ...(older.value && { onlyOlderThan: older.value }),
        ...(limit.value && { limit: Number(limit.value) }),
        ...(full.checked && { full: true }),
        ...(fewer.checked && { allowFewerStores: true }),
      });
      notify(outcome(listed));
    },
  });
}

function outcome({ jobs, inFlight, fresh, retired }) {
  const rest = [
    inFlight > 0 && `${counted(inFlight, "store")} in flight already`,
    fresh > 0 && `${counted(fresh, "store")} fresh enough`,
    retired > 0 && `${counted(retired, "store")} gone from the list`,
  ].filter(Boolean);
  const started = jobs > 0 ? `Started with ${counted(jobs, "store")}` : "Nothing to seed";
  return `${[started, ...rest].join("; ")}.`;
}
