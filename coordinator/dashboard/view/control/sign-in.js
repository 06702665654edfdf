/** Signing in: leads to the provider of logins, asks for a token, or says that neither is set. */

import { api } from "../../api.js";
import { fill, h } from "../../dom.js";
import { session } from "../../session.js";
import { message } from "../../ui.js";

/**
 * @param {{ code: string }} refusal
 * @param {() => void} onSignedIn
 */
export function refusal({ code }, onSignedIn) {
  return code === "admin_disabled" ? disabled() : signIn(onSignedIn);
}

function disabled() {
  const element = h(
    "div",
    { class: "door" },
    h("h1", { tabindex: "-1" }, "The dashboard is disabled"),
    h("p", {}, "This server knows nobody yet, so the dashboard and the API are closed. Set one of these and start it again:"),
    h(
      "dl",
      { class: "settings" },
      h("dt", {}, h("code", {}, "SEEDBED_SERVE__ADMIN_TOKEN")),
      h("dd", {}, "in the environment: a secret of at least 16 characters, which this page then asks for."),
      h("dt", {}, h("code", {}, "[login]")),
      h("dd", {}, "in seedbed.toml: people sign in at a provider of logins (OpenID Connect)."),
      h("dt", {}, h("code", {}, "[serve] open_admin = true")),
      h("dd", {}, "in seedbed.toml: anyone who reaches this server may use it. For a trusted network only."),
    ),
    h("button", { type: "button", class: "primary", onclick: () => location.reload() }, "Reload"),
  );
  return { title: "Closed", element };
}

function signIn(onSignedIn) {
  const problem = h("p", { class: "problem", role: "alert", id: "token-problem" });
  const token = h("input", {
    id: "token",
    type: "password",
    autocomplete: "current-password",
    required: true,
    spellcheck: "false",
    "aria-describedby": "token-problem",
  });
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    fill(problem);
    session.signIn(token.value.trim());
    try {
      await api.session();
      onSignedIn();
    } catch (error) {
      session.forget();
      fill(problem, error.status === 401 ? "This token is wrong, expired or revoked." : error.message);
      token.setAttribute("aria-invalid", "true");
      button.disabled = false;
      token.select();
    }
  };
  const form = h("form", { onsubmit: submit }, h("label", { for: "token" }, "Admin token, or a token of the API"), token, problem, button);
  const about = message("The admin token is the setting ", h("code", {}, "serve.admin_token"), "; ", h("code", {}, "seedbed tokens create"), " makes others. This tab keeps it until it is closed.");
  const byToken = session.who.login ? [provider(), h("details", {}, h("summary", {}, "Use a token instead"), form, about)] : [form, about];
  return { title: "Sign in", element: h("div", { class: "door" }, h("h1", { tabindex: "-1" }, "Sign in"), ...byToken) };
}

/** The way to the provider, and back to where this page is now. */
function provider() {
  const to = `/login?${new URLSearchParams({ to: `/${location.hash}` })}`;
  return h("p", {}, h("a", { class: "button primary", href: to }, "Sign in with your provider"));
}
