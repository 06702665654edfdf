/** Which devices get snapshots, what is taken back, and what is forgotten. */

import { control } from "../../control.js";
import { askFirst } from "../../dialog.js";
import { fill, h, setAttribute, showAll } from "../../dom.js";
import { age, counted } from "../../format.js";
import { live } from "../../live.js";
import { session } from "../../session.js";
import { message, notify, section, table } from "../../ui.js";

/** Between two looks for news, in milliseconds. */
const PAUSE = 5_000;

const SHARES = [
  ["all", "Snapshots in any form"],
  ["file", "Files"],
  ["compact", "Compact files"],
  ["stream", "Streams"],
];

export function delivery({ signal }) {
  const heading = h("h1", { tabindex: "-1" }, "Delivery");
  const parts = [h("div", { class: "heading" }, heading), shares(heading, signal)];
  if (session.may("operator")) {
    parts.push(withdrawal());
  }
  if (session.may("admin")) {
    parts.push(forgetting(heading, signal));
  }
  return { title: "Delivery", element: h("div", { class: "decides" }, ...parts) };
}

/** Which share of the stores gets what, and the switch. */
function shares(heading, signal) {
  const may = session.may("operator");
  const list = table("Which share of the stores gets snapshots", ["What", "#Stores", "Since", "-Actions"]);
  const state = message("Loading…");
  const buttons = h("div", { class: "buttons" });
  let shown = null;

  async function load() {
    try {
      const answer = await control.delivery(signal);
      const isOff = answer.all === 0;
      fill(state, inWords(answer));
      setAttribute(state, "class", isOff ? "message off" : "message");
      if (may && shown !== isOff) {
        const hadFocus = buttons.contains(document.activeElement);
        fill(buttons, isOff ? turnOn(load) : turnOff(load));
        shown = isOff;
        if (hadFocus) {
          heading.focus();
        }
      }
      const rows = SHARES.map(([what, name]) => ({ what, name, share: answer[what], since: answer.since[what] }));
      showAll(list.body, rows, (row) => row.what, row, heading);
    } catch (error) {
      if (!signal.aborted) {
        fill(state, error.message);
      }
    }
  }

  function row({ what, name, share, since }) {
    const properties = { type: "button", class: "small", "aria-label": `Set the share: ${name}`, onclick: () => askShare(what, name, share, load) };
    return list.row([name, `${share} %`, since ? age(since) : "always", may && h("button", properties, "Set")]);
  }

  live.reload(load, PAUSE, signal);
  const about = h("p", { class: "about" }, "Every server follows within a second or two. Which stores a share has depends on their ids alone, and a larger share has those of a smaller one.");
  return section("Who gets snapshots", { actions: [buttons] }, state, list.element, about).element;
}

function inWords({ all, file, compact, stream }) {
  if (all === 0) {
    return "The delivery is off: every device syncs as without Seedbed.";
  }
  const isWhole = [all, file, compact, stream].every((share) => share === 100);
  return isWhole ? "Every device gets the snapshot of its store." : "A part of the stores gets snapshots; the others sync as without Seedbed.";
}

function turnOff(load) {
  const ask = () =>
    askFirst({
      title: "Send all devices to the normal sync?",
      content: [h("p", {}, "No device gets a snapshot from now on, until the delivery is turned on again. Snapshots stay, and runs go on. PowerSync has to take all first syncs itself.")],
      yes: "Turn the delivery off",
      no: "Leave it on",
      dangerous: true,
      act: async () => {
        await control.setShare("all", 0);
        notify("The delivery is off.");
        load();
      },
    });
  return h("button", { type: "button", class: "danger", onclick: ask }, "Send all devices to the normal sync");
}

function turnOn(load) {
  const ask = () =>
    askFirst({
      title: "Hand snapshots out again?",
      content: [h("p", {}, "Devices of all stores get snapshots again, in the forms that are handed out.")],
      yes: "Turn the delivery on",
      act: async () => {
        await control.setShare("all", 100);
        notify("The delivery is on.");
        load();
      },
    });
  return h("button", { type: "button", class: "primary", onclick: ask }, "Hand snapshots out again");
}

function askShare(what, name, share, load) {
  const input = h("input", { id: "share", type: "number", min: "0", max: "100", step: "0.01", required: true, value: String(share) });
  askFirst({
    title: `${name}: to which share?`,
    content: [h("label", { for: "share" }, "Per cent of the stores"), input],
    yes: "Set it",
    act: async () => {
      const asked = Number(input.value);
      await control.setShare(what, asked);
      notify(`${name}: ${asked} % of the stores.`);
      load();
    },
  });
}

/** Taking snapshots back: of a store, of a run, or all. */
function withdrawal() {
  const store = oneField("withdraw-store", "Store", "Take its snapshot back", (id) =>
    askWithdrawal(["Of the store ", h("bdi", { class: "id" }, id), ": "], () => control.withdrawStore(id)),
  );
  const run = oneField("withdraw-run", "Run", "Take its snapshots back", (id) =>
    askWithdrawal(["Of all stores that the run ", h("bdi", { class: "id" }, id), " has seeded: "], () => control.withdrawRun(id)),
  );
  const all = session.may("admin") && h("button", { type: "button", class: "danger", onclick: () => askWithdrawal(["Of every store: "], control.withdrawAll) }, "Take all snapshots back");
  const about = h("p", { class: "about" }, "The snapshot before is handed out again, or none: then devices sync as without Seedbed. What was taken back is never handed out again; the next run makes a new one.");
  return section("Take snapshots back", {}, about, store, run, all && h("div", { class: "buttons" }, all)).element;
}

function askWithdrawal(of, act) {
  askFirst({
    title: "Take snapshots back?",
    content: [h("p", {}, ...of, "the live snapshot is taken back for good. Databases that devices have installed stay as they are.")],
    yes: "Take back",
    dangerous: true,
    act: async () => {
      const { stores, earlier } = await act();
      notify(`${counted(stores, "snapshot")} taken back; ${counted(earlier, "store")} ${earlier === 1 ? "has" : "have"} the one before again.`);
    },
  });
}

/** Everything of a store is removed; and the stores of which that is so. */
function forgetting(heading, signal) {
  const list = table("Forgotten stores, the newest first", ["Store", "Since", "State", "-Actions"]);
  const note = message("No store is forgotten.");

  async function load() {
    try {
      const { stores } = await control.forgotten(signal);
      showAll(list.body, stores, (store) => store.storeId, row, heading);
      setAttribute(list.element, "hidden", stores.length === 0);
      setAttribute(note, "hidden", stores.length > 0);
    } catch (error) {
      if (!signal.aborted) {
        setAttribute(note, "hidden", false);
        fill(note, error.message);
      }
    }
  }

  function row({ storeId, at, left }) {
    const allow = h("button", { type: "button", class: "small", "aria-label": `Allow again: ${storeId}`, onclick: () => askAllow(storeId, load) }, "Allow again");
    return list.row([h("bdi", { class: "id" }, storeId), age(at), left ? "objects are being removed" : "removed", allow]);
  }

  live.reload(load, PAUSE, signal);
  const form = oneField("forget-store", "Store", "Forget it", (id) => askForget(id, load));
  const about = h("p", { class: "about" }, "Removes all snapshots, rows and reports of a store at once, as a person may ask for, and leaves it out of every list until it is allowed again. Nothing brings them back.");
  return section("Forget a store", {}, about, form, note, list.element).element;
}

function askForget(storeId, load) {
  const again = h("input", { id: "forget-again", required: true, autocomplete: "off", spellcheck: "false" });
  askFirst({
    title: "Forget this store?",
    content: [
      h("p", {}, "Everything of ", h("bdi", { class: "id" }, storeId), " is removed at once, and cannot be brought back."),
      h("label", { for: "forget-again" }, "Write its id again"),
      again,
    ],
    yes: "Forget it",
    dangerous: true,
    act: async () => {
      if (again.value !== storeId) {
        throw new Error("This is another id.");
      }
      const forgotten = await control.forget(storeId);
      load();
      tell(storeId, forgotten);
    },
  });
}

function tell(storeId, { objects, snapshots, jobs, reports, left, outOfReach }) {
  askFirst({
    title: "The store is forgotten",
    content: [
      h("p", {}, h("bdi", { class: "id" }, storeId), `: ${counted(objects, "object")}, ${counted(snapshots, "snapshot")}, ${counted(jobs, "job")} and ${counted(reports, "report")} are removed.`),
      left && h("p", { class: "problem" }, `Some of it is left, and is removed later: ${left}`),
      h("p", {}, "What Seedbed cannot reach:"),
      h("ul", {}, ...outOfReach.map((place) => h("li", {}, place))),
    ],
    yes: "Understood",
    no: null,
    act: async () => {},
  });
}

function askAllow(storeId, load) {
  askFirst({
    title: "Allow this store again?",
    content: [h("p", {}, "The next run that lists ", h("bdi", { class: "id" }, storeId), " seeds it.")],
    yes: "Allow it",
    act: async () => {
      await control.allow(storeId);
      notify([h("bdi", {}, storeId), " is allowed again."]);
      load();
    },
  });
}

/** A field for an id, and what is done with it. */
function oneField(id, label, does, act) {
  const input = h("input", { id, required: true, autocomplete: "off", spellcheck: "false" });
  const submit = (event) => {
    event.preventDefault();
    act(input.value.trim());
  };
  return h("form", { class: "one-field", onsubmit: submit }, h("div", {}, h("label", { for: id }, label), input), h("button", { type: "submit", class: "danger" }, does));
}
