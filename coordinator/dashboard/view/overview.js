/** The first view: how the current run goes, how fresh the stores are, what failed, how runs went. */

import { h, fill, setAttribute } from "../dom.js";
import { age, count, counted } from "../format.js";
import { live } from "../live.js";
import { section } from "../ui.js";
import { freshnessPicture } from "../part/freshness.js";
import { historyCharts } from "../part/history.js";
import { failedJobs } from "../part/jobs.js";
import { reasonList } from "../part/outcome/reasons.js";
import { promiseCard } from "../part/promise.js";
import { runCard } from "../part/run-card.js";
import { workerList } from "../part/workers.js";
import { runTable } from "./runs.js";

/** Reasons that the overview shows. */
const REASONS = 5;

/** Runs that the table shows. */
const RUNS = 8;

export function overview({ signal }) {
  const facts = h("p", { class: "lead" }, "Loading…");
  const card = runCard({ isCurrent: true });
  const freshness = freshnessPicture();
  const history = historyCharts();
  const reasons = reasonList("What fails, by reason", { signal, limit: REASONS });
  const promise = promiseCard(signal);
  const failures = failedJobs(signal);
  const workers = workerList(signal);
  const runs = runTable("The last runs");
  const runsSection = section("Last runs", {}, runs.element, h("p", { class: "more" }, h("a", { href: "#/runs" }, "All runs")));
  const parts = h(
    "div",
    { class: "parts", hidden: true },
    card.element,
    h("div", { class: "pair" }, freshness.element, history.element),
    reasons.element,
    failures.element,
    promise.element,
    runsSection.element,
    workers.element,
  );
  const element = h("div", {}, h("h1", { tabindex: "-1" }, "Overview"), facts, parts);

  live.subscribe((news) => {
    const newest = news.currentRun ?? news.runs[0] ?? null;
    setAttribute(parts, "hidden", false);
    fill(facts, ...situation(news));
    card.update(newest);
    freshness.update(news.freshness, news.stores);
    history.update(news.runs);
    // What a run tells of is not over because some of it was tried again.
    failures.update(news.runs.find(({ kind }) => kind !== "retry") ?? newest, newest);
    runs.update(news.runs.slice(0, RUNS), runsSection.heading);
  }, signal);
  return { title: "Overview", element };
}

/** One line on everything that is not a picture. */
function situation({ stores, broker, waiting, untaken, serviceWait, workers, parked, quarantined, scheduled, version }) {
  const parts = [[counted(stores, "store")]];
  if (broker) {
    parts.push([h("strong", { class: "bad-text" }, broker.message)]);
  } else if (waiting === null) {
    parts.push([h("strong", { class: "bad-text" }, "the broker does not answer")]);
  } else {
    parts.push([`${count(waiting.jobs)} jobs wait in the queue`]);
  }
  if (untaken > 0) {
    const wait = untaken === 1 ? "is waiting" : "are waiting";
    parts.push([h("strong", { class: "bad-text" }, `${counted(untaken, "job")} ${wait} and no worker takes any`)]);
  }
  const wait = (number, noun) => h("strong", {}, `${counted(number, noun)} ${number === 1 ? "waits" : "wait"} for the service (429)`);
  if (serviceWait.running > 0) {
    parts.push([wait(serviceWait.running, "running job")]);
  }
  if (serviceWait.stores > 0) {
    parts.push([wait(serviceWait.stores, "store"), ", next try ", age(serviceWait.nextAt)]);
  }
  parts.push([counted(workers.count, "worker"), ` with ${counted(workers.slots, "slot")}`]);
  if (parked?.jobs > 0) {
    parts.push([h("strong", { class: "bad-text" }, `${counted(parked.jobs, "job")} parked`)]);
  }
  const unread = parked ? parked.messages + parked.events : 0;
  if (unread > 0) {
    parts.push([h("strong", { class: "bad-text" }, `${counted(unread, "message")} in the queues of parked messages`)]);
  }
  if (quarantined > 0) {
    parts.push([h("a", { class: "bad-text", href: "#/stores?quarantined=true" }, `${counted(quarantined, "store")} quarantined`)]);
  }
  if (scheduled) {
    parts.push(["next run ", age(scheduled)]);
  }
  parts.push([`version ${version}`]);
  return parts.map((part) => h("span", {}, ...part));
}
