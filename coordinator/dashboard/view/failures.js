/** Everything that fails now, by reason. */

import { h } from "../dom.js";
import { reasonList } from "../part/outcome/reasons.js";

/** The most that the server answers. */
const ALL = 200;

export function failures({ signal }) {
  const list = reasonList("By reason", { signal, limit: ALL });
  const about = h("p", { class: "lead" }, "Stores whose newest job failed. Those that failed for the same reason are one entry.");
  return { title: "Failures", element: h("div", {}, h("h1", { tabindex: "-1" }, "Failures"), about, list.element) };
}
