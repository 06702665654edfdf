/** One store: the snapshot that clients get, those before it, and how its jobs went. */

import { api } from "../api.js";
import { fill, h, setAttribute } from "../dom.js";
import { age, bytes, count, counted, freshness, NOTHING } from "../format.js";
import { live } from "../live.js";
import { badge, facts, message, retryButton, runLink, section, seedButton, table, traceLink } from "../ui.js";
import { jobTable, reason } from "../part/jobs.js";
import { stepBar, stepsInWords } from "../part/steps.js";

/** Between two looks for news, in milliseconds. */
const PAUSE = 2_000;

export function store({ id, signal }) {
  const heading = h("h1", { tabindex: "-1" }, h("bdi", { class: "id" }, id));
  const about = h("p", { class: "lead" }, "Loading…");
  const buttons = h("div", { class: "buttons" });
  const failure = h("div", { class: "failure", hidden: true });
  const current = section("Live snapshot", { class: "card" });
  const liveSnapshot = h("div");
  current.element.append(liveSnapshot);
  const snapshots = snapshotTable();
  const past = section("Snapshots", {}, snapshots.element);
  const jobs = jobTable("Jobs of this store", { of: "run" });
  const work = section("Jobs", {}, jobs.element);
  const content = h("div", { class: "parts", hidden: true }, failure, current.element, past.element, work.element);
  let shown = "";

  async function load() {
    try {
      const store = await api.store(id, signal);
      const news = JSON.stringify(store);
      if (news !== shown) {
        shown = news;
        show(store);
      }
    } catch (error) {
      if (!signal.aborted) {
        fill(about, error.message);
      }
    }
  }

  function show(store) {
    const job = store.job;
    setAttribute(content, "hidden", false);
    fill(about, h("span", { class: "aged" }, h("span", { class: `swatch fill-${freshness(store.snapshotAt)}` }), store.snapshotAt ? h("span", {}, "verified ", age(store.snapshotAt)) : "never seeded"), job && badge(job.state), store.retired && badge("retired"), store.quarantine && badge("quarantined"));
    const failed = job?.state === "failed" ? job : null;
    setAttribute(failure, "hidden", !failed);
    fill(failure, failed && h("h2", {}, "Why it failed"), reason(failed?.failure), failed && quarantineNote(store.quarantine));
    showButtons(store, failed);
    fill(liveSnapshot, snapshotFacts(store.snapshots.find(({ state }) => state === "live")));
    snapshots.update(store.snapshots);
    jobs.update(store.jobs, work.heading);
    past.element.hidden = store.snapshots.length === 0;
    work.element.hidden = store.jobs.length === 0;
  }

  let offered = "";
  function showButtons({ storeId, retired }, failed) {
    const wanted = `${failed?.jobId} ${retired}`;
    if (wanted === offered) {
      return;
    }
    offered = wanted;
    const hadFocus = buttons.contains(document.activeElement);
    fill(buttons, failed && retryButton("Retry", failed.runId, [storeId]), !retired && seedButton(storeId, { class: "primary" }));
    if (hadFocus) {
      heading.focus();
    }
  }

  live.reload(load, PAUSE, signal);
  const back = h("p", { class: "back" }, h("a", { href: "#/stores" }, "All stores"));
  return { title: id, element: h("div", {}, back, h("div", { class: "heading" }, heading, buttons), about, content) };
}

/** Why sweeps skip the store, and until when. */
function quarantineNote(quarantine) {
  if (!quarantine) {
    return quarantine;
  }
  const { sweeps, since, probeAt, held } = quarantine;
  const why = held
    ? [h("bdi", {}, held.by ?? "somebody"), " has quarantined it", held.at ? [" ", age(held.at)] : "", ". "]
    : [`${counted(sweeps, "sweep")} in a row failed it, the first `, age(since), ". "];
  return h("p", {}, "Sweeps skip this store: ", why, "The next probe is due ", age(probeAt), ". Seeding it by hand is always possible.");
}

function snapshotFacts(snapshot) {
  if (!snapshot) {
    return message("There is none: clients of this store sync by themselves.");
  }
  const rows = table("Rows of each table", ["Table", "#Rows"]);
  fill(rows.body, ...snapshot.tables.map((of) => rows.row([h("code", {}, of.table), count(of.rows)])));
  const pairs = [
    ["Made", age(snapshot.createdAt)],
    ["Checkpoint", h("code", {}, snapshot.checkpoint), snapshot.buckets === null ? " of very many buckets" : ` of ${counted(snapshot.buckets, "bucket")}`],
    ["Rows", count(snapshot.rows)],
    ["Run", runLink(snapshot.runId), ` attempt ${snapshot.attempt}`],
    ["Downloaded", `${bytes(snapshot.download.bytes)}, ${counted(snapshot.download.operations, "operation")}, ${counted(snapshot.download.connections, "connection")}`],
    ["From", h("code", {}, snapshot.powersyncEndpoint)],
    ["Core extension", snapshot.coreVersion],
    ["Schema", h("code", {}, snapshot.schemaFingerprint)],
    ["Trace", traceLink(snapshot.traceId) ?? h("code", {}, snapshot.traceId ?? NOTHING)],
  ];
  const files = table("Files of the live snapshot", ["Encoding", "#Size", "SHA-256"]);
  fill(files.body, ...snapshot.renditions.map(({ form, encoding, bytes: size, sha256 }) => files.row([`${form}/${encoding}`, bytes(size), h("code", {}, sha256)])));
  return h(
    "div",
    { class: "parts" },
    facts(pairs, { class: "facts wide" }),
    h("div", {}, h("h3", {}, "Duration of each step"), stepBar(snapshot.steps), stepsInWords(snapshot.steps)),
    h("div", { class: "pair" }, h("div", {}, h("h3", {}, "Files"), files.element), h("div", {}, h("h3", {}, "Tables"), rows.element)),
  );
}

function snapshotTable() {
  const { element, body, row } = table("Snapshots, the newest first", ["Made", "State", "#Checkpoint", "#Rows", "#Size", "Steps", "Run", "-Trace"]);
  const update = (snapshots) => {
    const rows = snapshots.map((snapshot) => {
      const steps = h("details", { class: "steps" }, h("summary", {}, stepBar(snapshot.steps)), stepsInWords(snapshot.steps));
      const cells = [age(snapshot.createdAt), badge(snapshot.state), snapshot.checkpoint, count(snapshot.rows), bytes(snapshot.bytes), steps];
      return row([...cells, runLink(snapshot.runId), traceLink(snapshot.traceId)]);
    });
    fill(body, ...rows);
  };
  return { element, update };
}
