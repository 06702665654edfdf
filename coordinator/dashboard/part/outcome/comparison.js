/** A run beside the one before it: what fails since, what works again, what takes longer. */

import { fill, h, setAttribute } from "../../dom.js";
import { count, counted, duration } from "../../format.js";
import { facts, runLink, section, storeLink } from "../../ui.js";

export function comparisonCard() {
  const numbers = h("div");
  const names = h("div");
  const about = h("p", { class: "about" });
  const { element } = section("Beside the run before", { class: "card", hidden: true }, about, numbers, names);
  let drawn = "";

  /** @param {object | null} comparison null for the first run */
  function update(comparison, run) {
    setAttribute(element, "hidden", !comparison);
    const wanted = JSON.stringify([comparison, run.stores]);
    if (!comparison || wanted === drawn) {
      return;
    }
    drawn = wanted;
    fill(about, runLink(comparison.before), h("span", {}, `${count(comparison.compared)} of ${counted(run.stores, "store")} ${comparison.compared === 1 ? "is" : "are"} in both`));
    fill(numbers, facts(figures(comparison)));
    fill(names, facts(stores(comparison), { class: "facts wide" }));
    setAttribute(names, "hidden", !names.querySelector("dd"));
  }
  return { element, update };
}

function figures({ newFailures, healed, slower, stillFailing, beforeSeconds }) {
  const times = beforeSeconds !== null && ["Took before", duration(beforeSeconds * 1_000)];
  return [
    ["New failures", newFailures > 0 ? h("strong", { class: "bad-text" }, count(newFailures)) : count(newFailures)],
    ["Healed", count(healed)],
    ["Slower", count(slower)],
    ["Still failing", count(stillFailing)],
    times,
  ].filter(Boolean);
}

/** Stores that are named. */
function stores({ newlyFailed, healedStores, slowest }) {
  const listed = (items) => items.flatMap((item, index) => (index > 0 ? [", ", item] : [item]));
  const loss = ({ seconds, beforeSeconds }) => ` (${duration(seconds * 1_000)}, ${duration(beforeSeconds * 1_000)} before)`;
  return [
    ["Fail since", newlyFailed.map(({ storeId }) => storeLink(storeId))],
    ["Work again", healedStores.map((storeId) => storeLink(storeId))],
    ["Slower by half or more", slowest.map((store) => h("span", {}, storeLink(store.storeId), loss(store)))],
  ]
    .filter(([, named]) => named.length > 0)
    .map(([name, named]) => [name, ...listed(named)]);
}
