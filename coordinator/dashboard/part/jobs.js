/** Jobs as a table: what became of them, and why. */

import { api } from "../api.js";
import { h, fill, setAttribute, showAll } from "../dom.js";
import { age, between, count } from "../format.js";
import { badge, message, retryButton, runLink, runRoute, section, storeLink, table, traceLink } from "../ui.js";

/** Failures that the overview shows; the run's page has all. */
const FAILURES = 20;

/** Why a job failed: the reason, and below it the step and whether another try could have helped. */
export function reason(failure) {
  if (!failure) {
    return null;
  }
  const meta = h("span", { class: "meta" }, `${failure.step} · ${failure.kind}`);
  return h("div", { class: "reason" }, h("span", { class: "text" }, failure.message), meta);
}

/** Which way a job went, and why it had to download every row. */
function way(job) {
  return job.why ? `${job.way} (${job.why.replace("_", " ")})` : job.way;
}

/**
 * @param {string} label
 * @param {{ of: "store" | "run" }} options what each row names first: its store, or its run
 */
export function jobTable(label, { of }) {
  const first = of === "store" ? "Store" : "Run";
  const { element, body, row } = table(label, [first, "State", "Way", "Reason", "#Attempts", "#Time", "Listed", "-Actions"]);
  const render = (job) => {
    const name = of === "store" ? storeLink(job.storeId) : runLink(job.runId);
    const properties = { class: "small", "aria-label": `Retry ${job.storeId}` };
    const retry = job.state === "failed" && !job.later && retryButton("Retry", job.runId, [job.storeId], properties);
    const actions = h("div", { class: "buttons" }, traceLink(job.traceId), retry);
    const time = job.startedAt ? between(job.startedAt, job.finishedAt) : null;
    const since = job.state === "failed" && job.later && h("span", { class: "meta" }, `since then: ${job.later}`);
    const wait = job.retryAt && h("span", { class: "meta" }, job.waitsForService ? "waits for the service (429), next try " : "next try ", age(job.retryAt));
    const more = since || wait;
    const state = h("div", { class: "reason" }, h("span", {}, badge(job.state)), more);
    const cells = [name, more ? state : badge(job.state), way(job), reason(job.failure), count(job.attempt), time, age(job.listedAt), actions];
    return row(cells);
  };
  const update = (jobs, fallback) => {
    setAttribute(element, "hidden", jobs.length === 0);
    showAll(body, jobs, (job) => job.jobId, render, fallback);
  };
  return { element, update };
}

/** The failures of a run, with a way to have each of them tried again. */
export function failedJobs(signal) {
  const jobs = jobTable("Failed stores", { of: "store" });
  const note = message();
  const more = h("a", {}, "All failures of this run");
  const { element, heading } = section("Failures", {}, note, jobs.element, h("p", { class: "more" }, more));
  let known = "";

  async function load(run) {
    const { jobs: failed, next } = await api.jobs(run.runId, { state: "failed", limit: FAILURES }, signal);
    jobs.update(failed, heading);
    setAttribute(more.parentElement, "hidden", !next);
    setAttribute(more, "href", `${runRoute(run.runId)}?state=failed`);
    setAttribute(note, "hidden", failed.length > 0);
    fill(note, "Nothing failed in this run.");
  }

  /**
   * @param {object | null} run
   * @param {object | null} newest the run in which some of them may be tried again
   */
  function update(run, newest) {
    const wanted = run ? [run.runId, run.failed, run.stores, newest.runId, newest.seeded, newest.failed].join(" ") : "none";
    if (wanted === known) {
      return;
    }
    known = wanted;
    fill(heading, run?.failed > 0 ? `Failures (${count(run.failed)})` : "Failures");
    if (!run) {
      jobs.update([], heading);
      setAttribute(more.parentElement, "hidden", true);
      fill(note, "There was no run yet.");
      return;
    }
    load(run).catch((error) => {
      // The next news brings the next try.
      known = "";
      if (!signal.aborted) {
        setAttribute(note, "hidden", false);
        fill(note, error.message);
      }
    });
  }
  return { element, update };
}
