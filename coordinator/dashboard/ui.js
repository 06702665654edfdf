/** The pieces that views are put together from. */

import { api } from "./api.js";
import { h, fill, setAttribute } from "./dom.js";
import { counted } from "./format.js";
import { live } from "./live.js";
import { session } from "./session.js";

export const storeRoute = (storeId) => `#/stores/${encodeURIComponent(storeId)}`;
export const runRoute = (runId) => `#/runs/${encodeURIComponent(runId)}`;

/** A store's id, which may be any text: it neither changes what is around it nor breaks the line. */
export function storeLink(storeId) {
  return h("a", { href: storeRoute(storeId), class: "id" }, h("bdi", {}, storeId));
}

/** A run by the end of its id, which is what differs between runs. */
export function runLink(runId) {
  return h("a", { href: runRoute(runId), class: "id", title: runId }, shortId(runId));
}

export function shortId(id) {
  return id.length > 12 ? `…${id.slice(-8)}` : id;
}

/** The job's trace, if the server knows where traces can be seen. */
export function traceLink(traceId) {
  const template = live.overview?.traceUrl;
  if (!template || !traceId) {
    return null;
  }
  const href = template.replace("{trace_id}", encodeURIComponent(traceId));
  return h("a", { href, rel: "noreferrer", target: "_blank", title: traceId }, "Trace");
}

/** A state, told by its word and not by its colour alone. */
export function badge(state) {
  return h("span", { class: `badge ${state}` }, state);
}

/** A section with a heading; `actions` stand next to it. The heading can be given the focus. */
export function section(title, { actions = [], ...properties } = {}, ...children) {
  const heading = h("h2", { tabindex: "-1" }, title);
  const element = h("section", properties, h("div", { class: "heading" }, heading, ...actions), ...children);
  return { element, heading };
}

/**
 * A table, or on a narrow screen a card for each row. A column whose name starts with `#` holds numbers; one without a name
 * is named for screen readers by what follows the `-`. `row` makes a row of cells, in the order of the columns.
 */
export function table(label, columns) {
  const names = columns.map((name) => name.replace(/^[#-]/, ""));
  const isNumber = columns.map((name) => name.startsWith("#"));
  const head = columns.map((name, index) => {
    const hidden = name.startsWith("-") && h("span", { class: "hidden" }, names[index]);
    return h("th", { scope: "col", role: "columnheader", class: isNumber[index] ? "number" : null }, hidden || names[index]);
  });
  // Said once more, since a browser forgets what a table is when its rows are shown as cards.
  const body = h("tbody", { role: "rowgroup" });
  const caption = h("caption", { class: "hidden" }, label);
  const content = h("table", { role: "table" }, caption, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)), body);
  const cell = (content, index) => {
    const name = columns[index].startsWith("-") ? null : names[index];
    return h("td", { role: "cell", class: isNumber[index] ? "number" : null, "data-label": name }, h("div", {}, content));
  };
  const row = (cells) => h("tr", { role: "row" }, ...cells.map(cell));
  return { element: h("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, content), body, row };
}

/** Names with their values. */
export function facts(pairs, properties = { class: "facts" }) {
  return h("dl", properties, ...pairs.map(([name, ...value]) => h("div", {}, h("dt", {}, name), h("dd", {}, ...value))));
}

/** Tells what has happened, to everybody: it is seen for a while and read out. */
export function notify(text, isError = false) {
  const close = h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => notice.remove() }, "×");
  const notice = h("div", { class: isError ? "notice bad" : "notice" }, h("p", {}, text), close);
  document.getElementById("notices").append(notice);
  if (!isError) {
    setTimeout(() => notice.remove(), 8_000);
  }
}

/** Reads a text out, without showing it. */
export function announce(text) {
  fill(document.getElementById("announcements"), text);
}

/**
 * A button that does one thing at a time and says how that went. It keeps the focus while it is busy.
 * @param {string} label
 * @param {() => Promise<string | Child[] | null>} act resolves to what there is to say
 */
export function actionButton(label, act, properties = {}) {
  const button = h("button", { type: "button", ...properties }, label);
  button.addEventListener("click", async () => {
    if (button.ariaDisabled === "true") {
      return;
    }
    setAttribute(button, "aria-disabled", "true");
    try {
      const said = await act();
      if (said) {
        notify(said);
      }
    } catch (error) {
      notify(error.message, true);
    }
    setAttribute(button, "aria-disabled", null);
  });
  return button;
}

/** Starts failed jobs of a run over: those of `stores`, or all. Nothing for who may not. */
export function retryButton(label, runId, stores, properties = {}) {
  if (!session.may("operator")) {
    return null;
  }
  const retry = async () => {
    const { jobs, skipped } = await api.retry(runId, stores);
    const rest = skipped > 0 ? ` ${counted(skipped, "store")} needed none: there is a later job.` : "";
    return jobs > 0 ? `${counted(jobs, "store")} will be tried again.${rest}` : `Nothing to retry.${rest}`;
  };
  return actionButton(label, retry, properties);
}

/** Seeds one store now. Nothing for who may not. */
export function seedButton(storeId, properties = {}) {
  if (!session.may("operator")) {
    return null;
  }
  const seed = async () => {
    const { jobs } = await api.seed(storeId);
    return [h("bdi", {}, storeId), jobs > 0 ? " will be seeded." : " is being seeded already."];
  };
  return actionButton("Seed now", seed, properties);
}

/** An empty list, a refusal, or anything else that is shown instead of what was asked for. */
export function message(...children) {
  return h("p", { class: "message" }, ...children);
}
