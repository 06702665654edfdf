/** First launches, as devices have reported them: how many used a snapshot, how long that took, why the others did not. */

import { api } from "../api.js";
import { fill, h, setAttribute } from "../dom.js";
import { bytes, count, duration } from "../format.js";
import { facts, section, table } from "../ui.js";
import { dayChart } from "../part/days.js";
import { figuresPage } from "../part/period.js";

/** What the codes of CONTRACT.md mean, for those who see them for the first time. */
const REASONS = {
  offline: "The server did not answer",
  no_token: "The app had no token",
  unauthorized: "The token was refused",
  wrong_store: "Another store than the app's",
  downloads_disabled: "The server hands out no snapshots",
  no_snapshot: "There was no snapshot of the store",
  too_old: "The snapshot was too old",
  busy: "The server was asked too often",
  being_seeded: "The snapshot was still being made",
  server_error: "The server or the object storage failed",
  bad_answer: "An answer made no sense",
  wrong_service: "The snapshot was of another PowerSync service",
  wrong_generation: "The snapshot was of another sync config",
  newer_core: "A newer core extension made the snapshot",
  unknown_finish: "The package cannot finish this file",
  encrypted: "The app encrypts its database",
  disk_full: "The device's disk was full",
  stalled: "The download stood still",
  cut: "The download broke off again and again",
  expired: "The signed URLs expired",
  corrupt: "The bytes were not those promised",
  not_openable: "The SDK could not open the file",
  cancelled: "The app or its user ended it",
};

export function launches(context) {
  const numbers = h("div");
  const chart = h("div", { class: "charts below" });
  const summary = section("Launches", { class: "card" }, numbers, chart);
  const times = table("Time by platform and form", ["Platform", "Form", "#Launches", "#Median (p50)", "#p95", "#Bytes each"]);
  const why = table("Reasons for falling back", ["Reason", "Code", "#Launches", "#Share", "Platforms"]);
  const timesPart = section("Time to a usable snapshot", {}, times.element);
  const whyPart = section("Reasons for falling back", {}, why.element);

  function show({ days, groups }, length) {
    if (groups.length === 0) {
      return nothing();
    }
    fill(numbers, facts(totals(groups)));
    fill(chart, picture(days, length));
    const installed = groups.filter(({ outcome }) => outcome === "installed");
    fill(times.body, ...installed.map((group) => times.row(timeCells(group))));
    setAttribute(timesPart.element, "hidden", installed.length === 0);
    const reasons = byReason(groups.filter(({ outcome }) => outcome !== "installed"));
    fill(why.body, ...reasons.map((of) => why.row(reasonCells(of, sum(groups)))));
    setAttribute(whyPart.element, "hidden", reasons.length === 0);
    return null;
  }

  return figuresPage(context, {
    title: "First launches",
    route: "#/launches",
    path: "/api/launches",
    load: api.launches,
    parts: [summary.element, timesPart.element, whyPart.element],
    show,
  });
}

function nothing() {
  return ["No launch was reported in this period. Devices report only if their app turns that on: ", h("code", {}, "report: true"), " of the client packages."];
}

const sum = (groups, of = (group) => group.launches) => groups.reduce((total, group) => total + of(group), 0);

const share = (part, total) => (part > 0 && part * 100 < total ? "< 1 %" : `${Math.round((100 * part) / Math.max(total, 1))} %`);

function totals(groups) {
  const all = sum(groups);
  const of = (name) => sum(groups.filter(({ outcome }) => outcome === name));
  return [
    ["Reported", count(all)],
    ["Used a snapshot", h("span", { class: "key seeded" }, `${count(of("installed"))} (${share(of("installed"), all)})`)],
    ["Normal sync", h("span", { class: "key dropped" }, count(of("sync")))],
    ["Failed", h("span", { class: "key failed" }, count(of("failed")))],
    ["Cancelled", count(of("cancelled"))],
    ["Resumed downloads", count(sum(groups, ({ resumed }) => resumed))],
    ["Downloaded", bytes(sum(groups, (group) => group.bytes))],
  ];
}

function picture(days, length) {
  const values = days.map(({ day, launches: all, installed }) => ({ day, parts: [["seeded", installed], ["dropped", all - installed]] }));
  const newest = days.at(-1);
  return dayChart({ name: "With a snapshot, and without", newest: `${count(newest.installed)} of ${count(newest.launches)}`, days: length, values, show: count });
}

function timeCells({ platform, form, encoding, launches: number, p50Millis, p95Millis, bytes: size }) {
  return [platform, [form, encoding].filter(Boolean).join("/") || "unknown", count(number), duration(p50Millis), duration(p95Millis), bytes(size / number)];
}

/** Launches without a snapshot, by what kept them from it; the most frequent reason first. */
function byReason(groups) {
  const reasons = new Map();
  for (const { reason, platform, launches: number } of groups) {
    const known = reasons.get(reason) ?? { reason, launches: 0, platforms: new Set() };
    known.launches += number;
    known.platforms.add(platform);
    reasons.set(reason, known);
  }
  return [...reasons.values()].sort((one, other) => other.launches - one.launches);
}

function reasonCells({ reason, launches: number, platforms }, all) {
  return [REASONS[reason] ?? "Not said", reason && h("code", {}, reason), count(number), share(number, all), [...platforms].sort().join(", ")];
}
