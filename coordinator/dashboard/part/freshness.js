/** How old the snapshots of all stores are, as one bar. */

import { fill, h, setAttribute, svg } from "../dom.js";
import { count, counted } from "../format.js";
import { section } from "../ui.js";

/** The names are the API's. */
export const AGES = [
  ["hour", "Younger than 1 hour"],
  ["sixHours", "1 to 6 hours"],
  ["day", "6 hours to 1 day"],
  ["older", "Older than 1 day"],
  ["never", "Never seeded"],
];

export function freshnessPicture() {
  const parts = AGES.map(([kind, name]) => {
    const rect = svg("rect", { class: `fill-${kind}`, y: "0", height: "100%" });
    const tip = svg("title");
    const href = `#/stores?freshness=${kind}`;
    const [number, share] = [h("span", { class: "amount" }), h("span", { class: "percent" })];
    const item = h("li", {}, h("a", { href }, h("span", { class: `swatch fill-${kind}` }), h("span", { class: "name" }, name), number, share));
    // The legend's links are for everybody; those of the picture are for the mouse.
    return { kind, name, rect, tip, number, share, item, link: svg("a", { href, tabindex: "-1" }, rect, tip) };
  });
  const picture = svg("svg", { class: "stack", "aria-hidden": "true", focusable: "false" }, ...parts.map(({ link }) => link));
  const words = h("p", { class: "hidden" });
  const { element } = section("Freshness", { class: "card" }, words, picture, h("ul", { class: "legend" }, ...parts.map(({ item }) => item)));

  function update(freshness, stores) {
    const total = Math.max(stores, 1);
    let x = 0;
    for (const { kind, name, rect, tip, number, share } of parts) {
      const width = (100 * freshness[kind]) / total;
      setAttribute(rect, "x", `${x}%`);
      setAttribute(rect, "width", `${width}%`);
      x += width;
      fill(tip, `${name}: ${counted(freshness[kind], "store")}`);
      fill(number, count(freshness[kind]));
      fill(share, width > 0 && width < 1 ? "< 1 %" : `${Math.round(width)} %`);
    }
    const told = AGES.map(([kind, name]) => `${name}: ${count(freshness[kind])}`).join("; ");
    fill(words, `Snapshots of ${counted(stores, "store")}. ${told}.`);
  }
  return { element, update };
}
