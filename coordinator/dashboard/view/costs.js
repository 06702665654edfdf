/** The bytes that are stored and moved, and what they cost if the settings have prices. */

import { api } from "../api.js";
import { fill, h, setAttribute } from "../dom.js";
import { bytes, count, roughly } from "../format.js";
import { facts, message, section, table } from "../ui.js";
import { dayChart } from "../part/days.js";
import { figuresPage } from "../part/period.js";

const GIB = 1_024 ** 3;

export function costs(context) {
  const numbers = h("div");
  const prices = message();
  const summary = section("Storage and traffic", { class: "card" }, numbers, prices);
  const charts = h("div", { class: "charts" });
  const traffic = section("Traffic", { class: "card" }, charts);
  const forms = table("Downloads by form", ["Form", "#Downloads", "#Bytes", "#Cost"]);
  const formsPart = section("Downloads by form", {}, forms.element);

  function show(costs, length) {
    if (costs.storedSnapshots === 0 && costs.handedOut.length === 0) {
      return "Nothing is stored yet.";
    }
    const { currency, transferPrice: price } = costs;
    const kinds = byForm(costs.handedOut);
    fill(numbers, facts(factsOf(costs)));
    fill(prices, ...priceNote(costs));
    fill(charts, ...pictures(costs, length));
    setAttribute(formsPart.element, "hidden", kinds.length === 0);
    fill(forms.body, ...kinds.map((kind) => forms.row([kind.name, count(kind.downloads), bytes(kind.bytes), cost(kind.bytes, price, currency)])));
    return null;
  }

  return figuresPage(context, {
    title: "Costs",
    route: "#/costs",
    path: "/api/costs",
    load: api.costs,
    parts: [summary.element, traffic.element, formsPart.element],
    show,
  });
}

const sum = (list, of) => list.reduce((total, one) => total + of(one), 0);

/** What bytes cost; null, so that nothing is shown, if there is no price. */
function cost(size, price, currency) {
  return price === null ? null : `${roughly((size / GIB) * price)} ${currency}`;
}

function factsOf({ storedBytes, storedSnapshots, storagePrice, transferPrice, currency, handedOut, days }) {
  const downloaded = sum(handedOut, (of) => of.bytes);
  const both = (size, price, unit) => [bytes(size), price !== null && h("div", { class: "meta" }, `${cost(size, price, currency)}${unit}`)];
  return [
    ["Stored now", ...both(storedBytes, storagePrice, " a month")],
    ["Stored snapshots", count(storedSnapshots)],
    ["Handed out to clients", ...both(downloaded, transferPrice, "")],
    ["Downloads", count(sum(handedOut, (of) => of.downloads))],
    ["Uploaded by workers", bytes(sum(days, (of) => of.uploadedBytes))],
    ["Synced from PowerSync", bytes(sum(days, (of) => of.syncedBytes))],
  ];
}

function priceNote({ storagePrice, transferPrice, currency }) {
  const priced = [
    [storagePrice, "a GiB stored for a month", "cost.storage"],
    [transferPrice, "a GiB handed out", "cost.transfer"],
  ];
  const known = priced.filter(([price]) => price !== null).map(([price, unit]) => `${roughly(price)} ${currency} for ${unit}`);
  const unset = priced.filter(([price]) => price === null).flatMap(([, , setting], index) => [index > 0 && " and ", h("code", {}, setting)]);
  const said = known.length > 0 && `Prices: ${known.join(", ")}. `;
  return [said, unset.length > 0 && ["Set ", ...unset, " to see what it costs. "], "A download counts in full when its URL is handed out."];
}

function pictures({ days, handedOut }, length) {
  const downloads = new Map();
  for (const { day, bytes: size } of handedOut) {
    downloads.set(day, (downloads.get(day) ?? 0) + size);
  }
  const chart = (name, values) => {
    const parts = values.map(([day, value]) => ({ day, parts: [["seeded", value]] }));
    return dayChart({ name, newest: bytes(sum(values, ([, value]) => value)), days: length, values: parts, show: bytes });
  };
  return [
    chart("Handed out to clients", [...downloads]),
    chart("Uploaded by workers", days.map((of) => [of.day, of.uploadedBytes])),
    chart("Synced from PowerSync", days.map((of) => [of.day, of.syncedBytes])),
  ];
}

/** Downloads of each form and encoding, the most bytes first. */
function byForm(handedOut) {
  const kinds = new Map();
  for (const { form, encoding, downloads, bytes: size } of handedOut) {
    const name = `${form}/${encoding}`;
    const known = kinds.get(name) ?? { name, downloads: 0, bytes: 0 };
    known.downloads += downloads;
    known.bytes += size;
    kinds.set(name, known);
  }
  return [...kinds.values()].sort((one, other) => other.bytes - one.bytes);
}
