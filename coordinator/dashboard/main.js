/** The frame: who is signed in, which view is shown, and whether the server is heard. */

import { api, onRefused } from "./api.js";
import { fill, h, visible } from "./dom.js";
import { live } from "./live.js";
import { session, shortName } from "./session.js";
import { message, notify } from "./ui.js";
import { access } from "./view/control/access.js";
import { audit } from "./view/audit.js";
import { costs } from "./view/costs.js";
import { delivery } from "./view/control/delivery.js";
import { failures } from "./view/failures.js";
import { launches } from "./view/launches.js";
import { overview } from "./view/overview.js";
import { run } from "./view/run.js";
import { runs } from "./view/runs.js";
import { refusal as accessRefused } from "./view/control/sign-in.js";
import { sizes } from "./view/sizes.js";
import { store } from "./view/store.js";
import { stores } from "./view/stores.js";
import { timeline } from "./view/timeline.js";

/**
 * A view fills an element until its signal aborts.
 * @typedef {{ signal: AbortSignal, parameters: URLSearchParams, id?: string }} Context
 * @type {[RegExp, string, (context: Context) => { title: string, element: HTMLElement }][]}
 */
const routes = [
  [/^\/?$/, "overview", overview],
  [/^\/stores$/, "stores", stores],
  [/^\/stores\/([^/]+)$/, "stores", store],
  [/^\/runs$/, "runs", runs],
  [/^\/runs\/([^/]+)$/, "runs", run],
  [/^\/failures$/, "failures", failures],
  [/^\/runs\/([^/]+)\/timeline$/, "runs", timeline],
  [/^\/launches$/, "launches", launches],
  [/^\/sizes$/, "sizes", sizes],
  [/^\/costs$/, "costs", costs],
  [/^\/delivery$/, "delivery", delivery],
  [/^\/audit$/, "audit", audit],
  [/^\/access$/, "access", access],
];

const [main, navigation, connection, who, signOut, skip] = ["main", "navigation", "connection", "who", "sign-out", "skip"].map(
  (id) => document.getElementById(id),
);

let leaving = new AbortController();

function show(section, { title, element }) {
  document.title = title === "Seedbed" ? title : `${visible(title)} · Seedbed`;
  for (const link of navigation.querySelectorAll("[data-section]")) {
    link.ariaCurrent = link.dataset.section === section ? "page" : null;
  }
  fill(main, element);
}

/** Shows what the address asks for. */
function route(isFirst) {
  leaving.abort();
  leaving = new AbortController();
  const [path, search] = location.hash.replace(/^#/, "").split("?");
  const context = { signal: leaving.signal, parameters: new URLSearchParams(search) };
  const [section, view] = find(path, context) ?? ["none", nowhere];
  show(section, view(context));
  if (!isFirst) {
    // Screen readers announce the new page by its heading.
    main.querySelector("h1")?.focus();
    scrollTo(0, 0);
  }
}

function find(path, context) {
  for (const [pattern, section, view] of routes) {
    const match = pattern.exec(path);
    if (match) {
      try {
        context.id = match[1] && decodeURIComponent(match[1]);
      } catch {
        return null;
      }
      return [section, view];
    }
  }
  return null;
}

function nowhere() {
  const element = h("div", {}, h("h1", { tabindex: "-1" }, "Nothing here"), message("This address leads nowhere. ", h("a", { href: "#/" }, "To the overview")));
  return { title: "Nothing here", element };
}

function showConnection(state) {
  connection.dataset.kind = state.kind;
  const seconds = () => Math.max(0, Math.ceil((state.until - Date.now()) / 1_000));
  const texts = { connecting: "Connecting…", connected: "Live", waiting: "Disconnected, trying again soon" };
  fill(connection, texts[state.kind]);
  connection.title = state.kind === "waiting" ? `in ${seconds()} s` : "";
}

/** Comes in as whoever this is: by a token, by a login, or as anyone where nothing is needed. */
async function enter(isFirst) {
  try {
    session.take(await api.session());
    if (!session.who.role) {
      // Says why: nobody is signed in, or nobody can be.
      await api.overview();
    }
  } catch (error) {
    if (error.isAboutAccess) {
      return;
    }
    // A server that does not answer now: the view says so, and goes on when it does.
  }
  navigation.hidden = false;
  for (const link of navigation.querySelectorAll("[data-role]")) {
    link.hidden = !session.may(link.dataset.role);
  }
  fill(who, session.who.actor && h("bdi", {}, shortName(session.who.actor)), session.who.role && h("span", { class: "badge" }, session.who.role));
  who.title = session.who.actor ?? "";
  who.hidden = !session.who.actor;
  signOut.hidden = !session.canEnd;
  live.start(showConnection);
  route(isFirst);
}

/** Whatever asked: without access there is only the door. */
function leave(refusal) {
  live.stop();
  leaving.abort();
  navigation.hidden = true;
  who.hidden = true;
  signOut.hidden = true;
  fill(connection);
  delete connection.dataset.kind;
  if (!main.querySelector("#token") || refusal.code === "admin_disabled") {
    show("none", accessRefused(refusal, () => enter(false)));
    main.querySelector("h1").focus();
  }
}

onRefused((refusal) => {
  session.forget();
  leave(refusal);
});
signOut.addEventListener("click", async () => {
  try {
    if (session.who.csrf) {
      await api.signOut();
    }
  } catch (error) {
    // Somebody who believes to be out, and is not, would be worse.
    notify(`You are still signed in: ${error.message}`, true);
    return;
  }
  session.forget();
  location.hash = "#/";
  leave({ status: 401, code: "unauthorized" });
});
skip.addEventListener("click", (event) => {
  // The address is the view's; the link only moves the focus.
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => {
  if (!navigation.hidden) {
    route(false);
  }
});
enter(true);
