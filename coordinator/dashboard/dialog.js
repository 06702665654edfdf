/** Questions before something is done. The browser keeps the focus inside and gives it back. */

import { h, fill } from "./dom.js";

let numbered = 0;

/**
 * Asks, and does what was asked for when the answer is yes. The dialog stays open while that fails, and says why.
 * `no` is null where there is nothing to refuse.
 * @param {{ title: string, content: Node[], yes: string, dangerous?: boolean, no?: string | null, act: () => Promise<void> }} question
 */
export function askFirst({ title, content, yes, dangerous = false, no = "Not now", act }) {
  const id = `dialog-${(numbered += 1)}`;
  const problem = h("p", { class: "problem", role: "alert" });
  const confirm = h("button", { type: "submit", class: dangerous ? "danger" : "primary" }, yes);
  const submit = async (event) => {
    event.preventDefault();
    confirm.disabled = true;
    fill(problem);
    try {
      await act();
      dialog.close();
    } catch (error) {
      fill(problem, error.message);
      confirm.disabled = false;
      confirm.focus();
    }
  };
  const cancel = no && h("button", { type: "button", onclick: () => dialog.close() }, no);
  const form = h(
    "form",
    { onsubmit: submit },
    h("h2", { id }, title),
    ...content,
    problem,
    h("div", { class: "buttons" }, cancel, confirm),
  );
  const dialog = h("dialog", { "aria-labelledby": id, onclose: () => dialog.remove() }, form);
  document.body.append(dialog);
  dialog.showModal();
}
