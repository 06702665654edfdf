/** Who is signed in, and the tokens of programs and people: each is shown once, when it is made. */

import { control } from "../../control.js";
import { askFirst } from "../../dialog.js";
import { fill, h, setAttribute, showAll } from "../../dom.js";
import { age, now } from "../../format.js";
import { live } from "../../live.js";
import { session } from "../../session.js";
import { badge, message, notify, section, table } from "../../ui.js";

/** Between two looks for news, in milliseconds. */
const PAUSE = 5_000;

const LIFETIMES = [
  ["7d", "7 days"],
  ["30d", "30 days"],
  ["90d", "90 days"],
  ["365d", "a year"],
  ["never", "without an end"],
];

/** What each role may, in a few words. */
const MAY = {
  viewer: "see everything but the audit log",
  operator: "see everything, start, retry and cancel runs, take snapshots back, set the delivery",
  admin: "do everything, also what cannot be undone",
};

export function access({ signal }) {
  const heading = h("h1", { tabindex: "-1" }, "Access");
  const { actor, role } = session.who;
  const me = section("You", {}, h("p", {}, h("bdi", {}, actor ?? "anyone"), " ", role && badge(role)), h("p", { class: "about" }, `May ${MAY[role] ?? "do nothing"}.`));
  const parts = [h("div", { class: "heading" }, heading), me.element];
  if (session.may("operator")) {
    parts.push(tokens(heading, signal));
  }
  return { title: "Access", element: h("div", { class: "decides" }, ...parts) };
}

function tokens(heading, signal) {
  const list = table("Tokens, the newest first", ["Name", "Role", "Made by", "Made", "Last used", "Ends", "-Actions"]);
  const note = message("Loading…");

  async function load() {
    try {
      const answer = await control.tokens(signal);
      showAll(list.body, answer.tokens, (token) => token.id, row, heading);
      setAttribute(list.element, "hidden", answer.tokens.length === 0);
      setAttribute(note, "hidden", answer.tokens.length > 0);
      fill(note, "There is no token yet.");
    } catch (error) {
      if (!signal.aborted) {
        setAttribute(note, "hidden", false);
        fill(note, error.message);
      }
    }
  }

  function row(token) {
    const isOver = token.expiresAt && Date.parse(token.expiresAt) <= now();
    const end = token.revokedAt ? ["revoked ", age(token.revokedAt)] : token.expiresAt ? age(token.expiresAt) : "never";
    const properties = { type: "button", class: "small danger", "aria-label": `Revoke ${token.name}`, onclick: () => revoke(token, load) };
    const actions = !token.revokedAt && !isOver && h("button", properties, "Revoke");
    return list.row([h("bdi", { class: "id" }, token.name), badge(token.role), h("bdi", {}, token.madeBy), age(token.madeAt), token.lastUsedAt ? age(token.lastUsedAt) : "not yet", end, actions]);
  }

  live.reload(load, PAUSE, signal);
  const about = h("p", { class: "about" }, session.may("admin") ? "Of everybody, also those that are no longer good." : "Those that you have made, also those that are no longer good.");
  const make = h("button", { type: "button", class: "primary", onclick: () => ask(load) }, "Make a token");
  return section("Tokens", { actions: [h("div", { class: "buttons" }, make)] }, about, note, list.element).element;
}

function ask(load) {
  const name = h("input", { id: "token-name", required: true, maxlength: "64", autocomplete: "off", spellcheck: "false" });
  const role = h("select", { id: "token-role" }, ...session.roles.map((role) => h("option", { value: role }, role)));
  // Below the list, where it wraps: a phone cuts a long option.
  const may = h("p", { id: "token-may", class: "about" });
  const say = () => fill(may, `May ${MAY[role.value]}.`);
  role.addEventListener("change", say);
  role.setAttribute("aria-describedby", may.id);
  say();
  const ends = h("select", { id: "token-ends" }, ...LIFETIMES.map(([value, text]) => h("option", { value, selected: value === "90d" }, text)));
  askFirst({
    title: "Make a token",
    content: [
      h("p", {}, "For a program, or a person without a login. It is shown once."),
      h("label", { for: "token-name" }, "Name, as the audit log calls it"),
      name,
      h("label", { for: "token-role" }, "Role"),
      role,
      may,
      h("label", { for: "token-ends" }, "Good for"),
      ends,
    ],
    yes: "Make it",
    act: async () => {
      const made = await control.makeToken({ name: name.value.trim(), role: role.value, expires: ends.value });
      show(made);
      load();
    },
  });
}

/** The one time that the token itself is seen. It goes with the dialog. */
function show({ name, token }) {
  const value = h("input", { id: "token-value", readonly: true, value: token, spellcheck: "false", onfocus: () => value.select() });
  const copy = h("button", {
    type: "button",
    onclick: async () => {
      value.select();
      await navigator.clipboard?.writeText(token);
      fill(copy, "Copied");
    },
  }, "Copy");
  askFirst({
    title: `The token ${name}`,
    content: [
      h("p", {}, "Keep it now: it is not shown again, and nobody can find it out."),
      h("label", { for: "token-value" }, "Token"),
      value,
      h("p", {}, copy),
      h("p", { class: "about" }, "A program shows it as ", h("code", {}, "Authorization: Bearer …"), "."),
    ],
    yes: "I have it",
    no: null,
    act: async () => {},
  });
}

function revoke({ id, name }, load) {
  askFirst({
    title: "Revoke this token?",
    content: [h("p", {}, "Every server refuses ", h("bdi", { class: "id" }, name), " from now on, and so it does tokens that were made with it.")],
    yes: "Revoke it",
    dangerous: true,
    act: async () => {
      const { revoked } = await control.revokeToken(id);
      notify(revoked === 1 ? "The token is revoked." : `${revoked} tokens are revoked.`);
      load();
    },
  });
}
