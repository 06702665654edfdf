/** One run in time: what each worker was busy with, the slowest and the failed stores, and what bounded the run. */

import { api } from "../api.js";
import { fill, h, setAttribute } from "../dom.js";
import { count, counted, duration, NOTHING } from "../format.js";
import { live } from "../live.js";
import { actionButton, badge, message, runRoute, section, shortId, storeLink, table } from "../ui.js";
import { saveAs } from "../part/period.js";
import { colour } from "../part/steps.js";

/** Between two looks for news, in milliseconds: all jobs of the run are read. */
const PAUSE = 10_000;

/** Whom steps wait for; the names are the API's. */
const PARTS = { service: "PowerSync", worker: "the worker's processors and disk", storage: "object storage", unknown: NOTHING };

export function timeline({ id, signal }) {
  const heading = h("h1", { tabindex: "-1" }, "Timeline of run ", h("span", { class: "id", title: id }, shortId(id)));
  const note = message("Loading…");
  const bound = h("p", { class: "bound" });
  const about = h("p", { class: "about" });
  const picture = h("div", { class: "picture", role: "region", "aria-label": "Workers over time", tabindex: "0" });
  const steps = table("Steps", ["Step", "Waits for", "#Took", "#Share"]);
  const workers = table("Workers", ["Worker", "#Slots", "#Jobs", "#Busy"]);
  const more = message();
  const [slowest, failed] = [jobList("The slowest stores"), jobList("Failed stores")];
  const save = actionButton("Save as SVG", async () => {
    saveAs(new Blob([drawn], { type: "image/svg+xml" }), `run-${id}.svg`);
    return null;
  });
  const summary = section("What bounded it", { class: "card", actions: [h("div", { class: "buttons" }, save)] }, bound, about, picture);
  const [stepsPart, workersPart] = [section("Steps of all jobs", {}, steps.element), section("Workers", {}, workers.element, more)];
  const content = h("div", { class: "parts", hidden: true }, summary.element, failed.element, slowest.element, h("div", { class: "pair" }, stepsPart.element, workersPart.element));
  let [drawn, isOver] = ["", false];

  async function load() {
    if (isOver) {
      return;
    }
    try {
      show(await api.timeline(id, signal));
    } catch (error) {
      if (!signal.aborted) {
        setAttribute(note, "hidden", false);
        fill(note, error.message);
      }
    }
  }

  function show(of) {
    isOver = of.state !== "running";
    setAttribute(note, "hidden", true);
    setAttribute(content, "hidden", false);
    fill(bound, of.sentence);
    fill(about, h("span", {}, badge(of.state)), h("span", {}, `${count(of.started)} of ${counted(of.jobs, "job")} started`), h("span", {}, duration(Date.parse(of.until) - Date.parse(of.from))));
    if (of.picture !== drawn) {
      drawn = of.picture;
      fill(picture, readPicture(drawn));
    }
    setAttribute(stepsPart.element, "hidden", of.steps.length === 0);
    fill(steps.body, ...of.steps.map(({ step, part, millis, sharePercent }) => steps.row([stepName(step), PARTS[part], duration(millis), `${sharePercent} %`])));
    setAttribute(workersPart.element, "hidden", of.workers.length === 0);
    fill(workers.body, ...of.workers.map((worker) => workers.row([h("bdi", {}, worker.worker), count(worker.slots), count(worker.jobs), `${worker.busyPercent} %`])));
    setAttribute(more, "hidden", of.moreWorkers === 0);
    fill(more, `${counted(of.moreWorkers, "other worker")} did less.`);
    slowest.update(of.slowest);
    failed.update(of.failures);
  }

  live.reload(load, PAUSE, signal);
  const back = h("p", { class: "back" }, h("a", { href: runRoute(id) }, "The run and its jobs"));
  return { title: `Timeline of ${shortId(id)}`, element: h("div", {}, back, h("div", { class: "heading" }, heading), note, content) };
}

/** The picture as elements. It is the server's own, and nothing in it is run: it is neither a script nor a page. */
function readPicture(text) {
  const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (root.localName !== "svg") {
    return message("The picture cannot be shown.");
  }
  return document.importNode(root, true);
}

function stepName(step) {
  return h("span", { class: "aged" }, h("span", { class: `swatch ${colour(step)}` }), step);
}

function jobList(label) {
  const list = table(label, ["Store", "State", "Way", "#Took", "Longest step", "Worker", "#Attempts"]);
  const { element } = section(label, {}, list.element);
  const update = (jobs) => {
    setAttribute(element, "hidden", jobs.length === 0);
    const cells = (job) => [storeLink(job.storeId), badge(job.state), job.way, duration(job.millis), job.step && stepName(job.step), h("bdi", {}, job.worker), count(job.attempts)];
    fill(list.body, ...jobs.map((job) => list.row(cells(job))));
  };
  return { element, update };
}
