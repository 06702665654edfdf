/** Next and previous page of a list that is read with cursors. */

import { h, fill, setAttribute } from "../dom.js";

/** @param {() => void} onTurn called when another page is wanted */
export function pager(onTurn) {
  /** Where the pages up to this one start; the first one has no cursor. */
  let starts = [null];
  let next = null;
  const turn = (to) => {
    starts = to;
    onTurn();
  };
  const back = h("button", { type: "button", onclick: () => starts.length > 1 && turn(starts.slice(0, -1)) }, "Previous");
  const forth = h("button", { type: "button", onclick: () => next && turn([...starts, next]) }, "Next");
  const where = h("span");
  const element = h("nav", { class: "pager", "aria-label": "Pages", hidden: true }, back, where, forth);
  return {
    element,
    get after() {
      return starts.at(-1);
    },
    /** Back to the first page, because the list is another one. */
    reset() {
      [starts, next] = [[null], null];
    },
    /** What the newest answer said. */
    update(cursor) {
      next = cursor;
      setAttribute(element, "hidden", starts.length === 1 && !next);
      setAttribute(back, "aria-disabled", starts.length === 1 ? "true" : null);
      setAttribute(forth, "aria-disabled", next ? null : "true");
      fill(where, `Page ${starts.length}`);
    },
  };
}
