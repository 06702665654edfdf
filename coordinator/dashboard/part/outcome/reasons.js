/** What stores fail for: a row for each reason, with what can be done about all of its stores at once. */

import { api } from "../../api.js";
import { askFirst } from "../../dialog.js";
import { fill, h, setAttribute, showAll } from "../../dom.js";
import { age, count, counted } from "../../format.js";
import { live } from "../../live.js";
import { actionButton, message, notify, section, storeLink, table, traceLink } from "../../ui.js";

/** Between two looks for news, in milliseconds: grouping very many failures takes a moment. */
const PAUSE = 4_000;

/**
 * @param {string} title
 * @param {{ signal: AbortSignal, run?: string, limit: number }} options the failures of a run, or of all stores that fail now
 */
export function reasonList(title, { signal, run, limit }) {
  const list = table(title, ["Reason", "#Stores", "First seen", "Last seen", "Such as", "-Actions"]);
  const note = message("Loading…");
  const more = h("p", { class: "more", hidden: true }, h("a", { href: "#/failures" }, "All reasons"));
  const { element, heading } = section(title, {}, note, list.element, more);

  async function load() {
    try {
      const { reasons, total } = await api.failures({ run, limit }, signal);
      showAll(list.body, reasons, ({ key }) => key, (group) => list.row(cells(group, load)), heading);
      setAttribute(list.element, "hidden", reasons.length === 0);
      setAttribute(note, "hidden", reasons.length > 0);
      setAttribute(more, "hidden", run !== undefined || total <= reasons.length);
      fill(note, run ? "Nothing failed in this run." : "No store fails.");
    } catch (error) {
      if (!signal.aborted) {
        setAttribute(note, "hidden", false);
        fill(note, error.message);
      }
    }
  }

  live.reload(load, PAUSE, signal);
  return { element, heading };
}

function cells(group, reload) {
  const { key, stores, open, quarantined, firstSeen, lastSeen, examples } = group;
  const later = open < stores && `${count(stores - open)} with a later job`;
  const held = quarantined > 0 && `${count(quarantined)} quarantined`;
  const more = [later, held].filter(Boolean).join(", ");
  const shown = examples.map(({ storeId }, index) => [index > 0 && ", ", storeLink(storeId)]);
  const newest = examples[0];
  return [
    what(group),
    h("div", { class: "reason" }, h("span", {}, count(stores)), more && [" ", h("span", { class: "meta" }, `(${more})`)]),
    age(firstSeen),
    age(lastSeen),
    h("span", {}, ...shown),
    h("div", { class: "buttons" }, newest && traceLink(newest.traceId), open > 0 && actions(key, open, open - quarantined, reload)),
  ];
}

/** The code or the text that all have in common, and below it what one of them said. */
function what({ reason, step, code, examples }) {
  const common = reason.startsWith(`${step}: `) ? reason.slice(step.length + 2) : reason;
  const said = examples[0]?.message;
  const more = [step, code !== common && code, said !== common && said].filter(Boolean);
  return h("div", { class: "reason" }, h("span", { class: "text" }, common), h("span", { class: "meta" }, more.join(" · ")));
}

function actions(key, open, notHeld, reload) {
  const retry = async () => {
    const { jobs } = await api.retryReason(key);
    reload();
    return `${counted(jobs, "store")} will be tried again.`;
  };
  const hold = () =>
    askFirst({
      title: `Quarantine ${counted(notHeld, "store")}?`,
      content: [h("p", {}, "Sweeps skip them, and probe them after pauses that grow. Whatever succeeds ends it: a probe, or a retry.")],
      yes: "Quarantine",
      act: async () => {
        const { stores } = await api.quarantineReason(key);
        reload();
        notify(`${counted(stores, "store")} quarantined.`);
      },
    });
  const label = (verb) => `${verb} all ${count(open)} of reason ${key}`;
  return [
    actionButton("Retry all", retry, { class: "small", "aria-label": label("Retry") }),
    notHeld > 0 && h("button", { type: "button", class: "small", "aria-label": label("Quarantine"), onclick: hold }, "Quarantine"),
  ];
}
