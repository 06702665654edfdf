/** How large stores are: all of them over a period, the largest, and those that grow most. */

import { api } from "../api.js";
import { fill, h, setAttribute, showAll } from "../dom.js";
import { age, bytes, count } from "../format.js";
import { facts, section, storeLink, table } from "../ui.js";
import { dayChart } from "../part/days.js";
import { figuresPage } from "../part/period.js";

const COLUMNS = ["Store", "#Size", "#Growth", "#Rows", "Made"];

export function sizes(context) {
  const numbers = h("div");
  const chart = h("div", { class: "charts below" });
  const summary = section("All stores", { class: "card" }, numbers, chart);
  const [largest, growing] = [sizeTable("The largest stores"), sizeTable("The stores that grew most")];

  function show({ totals, bytesBefore, days, largest: large, growing: grown }, length) {
    if (totals.stores === 0) {
      return "No store has a snapshot yet.";
    }
    fill(numbers, facts(factsOf(totals, bytesBefore)));
    const values = days.map((of) => ({ day: of.day, parts: [["seeded", of.bytes]] }));
    fill(chart, dayChart({ name: "Size of all live snapshots", newest: bytes(totals.bytes), days: length, values, show: bytes }));
    largest.update(large);
    growing.update(grown);
    return null;
  }

  return figuresPage(context, {
    title: "Sizes",
    route: "#/sizes",
    path: "/api/sizes",
    load: api.sizes,
    parts: [summary.element, growing.element, largest.element],
    show,
  });
}

function factsOf(totals, bytesBefore) {
  return [
    ["Stores", count(totals.stores)],
    ["Size, uncompressed", bytes(totals.bytes)],
    ["Growth of the stores in the period", growth(totals.bytes - bytesBefore)],
    ["Rows", count(totals.rows)],
    ["Each, on average", bytes(totals.bytes / totals.stores)],
  ];
}

function sizeTable(label) {
  const { element: list, body, row } = table(label, COLUMNS);
  const { element, heading } = section(label, {}, list);
  const render = (of) => row([storeLink(of.storeId), bytes(of.bytes), growth(of.bytes - of.bytesBefore), count(of.rows), age(of.createdAt)]);
  const update = (stores) => {
    setAttribute(element, "hidden", stores.length === 0);
    showAll(body, stores, (of) => of.storeId, render, heading);
  };
  return { element, update };
}

function growth(change) {
  return change === 0 ? "none" : `${change > 0 ? "+" : "−"}${bytes(Math.abs(change))}`;
}
