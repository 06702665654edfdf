/** Signing in: asks for the admin token, or says that none is set. */

import { api, session } from "../api.js";
import { fill, h } from "../dom.js";
import { message } from "../ui.js";

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
    h("p", {}, "This server has no admin token, so the dashboard and the API are closed. Set one of these and start it again:"),
    h(
      "dl",
      { class: "settings" },
      h("dt", {}, h("code", {}, "SEEDBED_SERVE__ADMIN_TOKEN")),
      h("dd", {}, "in the environment: a secret of at least 16 characters, which this page then asks for."),
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
      await api.overview();
      onSignedIn();
    } catch (error) {
      session.signOut();
      fill(problem, error.status === 401 ? "This is not the admin token." : error.message);
      token.setAttribute("aria-invalid", "true");
      button.disabled = false;
      token.select();
    }
  };
  const element = h(
    "div",
    { class: "door" },
    h("h1", { tabindex: "-1" }, "Sign in"),
    h(
      "form",
      { onsubmit: submit },
      h("label", { for: "token" }, "Admin token"),
      token,
      problem,
      button,
    ),
    message("It is the setting ", h("code", {}, "serve.admin_token"), " (", h("code", {}, "SEEDBED_SERVE__ADMIN_TOKEN"), "). This tab keeps it until it is closed."),
  );
  return { title: "Sign in", element };
}
