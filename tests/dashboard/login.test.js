// People sign in at a real provider, in a real browser; tests/it/delivery/login/pages.rs starts the server and this.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

const {
  DASHBOARD_URL: url,
  DASHBOARD_ISSUER: issuer,
  DASHBOARD_CLIENT_SECRET: secret,
  DASHBOARD_CLIENT_TOKEN: clientToken,
  DASHBOARD_MODULES: modules,
  DASHBOARD_SCREENSHOTS: screenshots,
} = process.env;
const require = createRequire(join(modules, "package.json"));
const { chromium } = require("playwright-core");
const { Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const LIMIT = 60_000;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Who there is, and in which groups. */
const PEOPLE = { nadia: ["elsewhere"], vera: ["staff"], otto: ["staff", "seedbed-operators"], ada: ["seedbed-admins"] };

/** Refusals that the browser itself reports, and a machine that gets or loses a network meanwhile. */
const EXPECTED = /status of 40[134]|ERR_NETWORK_CHANGED/;

let listening, profile, context, page;
/** Whatever the browser complained about; nothing may stay in here. */
const complaints = [];

before(async () => {
  const provider = new Provider(issuer, {
    clients: [{ client_id: "seedbed", client_secret: secret, redirect_uris: [`${url}/login/callback`], grant_types: ["authorization_code"], response_types: ["code"] }],
    pkce: { required: () => true },
    // As the standard has it: what a scope asks for is at userinfo.
    claims: { openid: ["sub"], email: ["email", "email_verified"], groups: ["groups"] },
    scopes: ["openid", "email", "groups"],
    cookies: { keys: ["of this test"] },
    findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id, email: `${id}@example.com`, email_verified: true, groups: PEOPLE[id] }) }),
  });
  listening = provider.listen(Number(new URL(issuer).port));
  mkdirSync(screenshots, { recursive: true });
  profile = mkdtempSync(join(tmpdir(), "seedbed-login-"));
  context = await chromium.launchPersistentContext(profile, { executablePath: "/usr/bin/chromium-headless-shell", args: FLAGS, viewport: { width: 1280, height: 860 } });
  page = await context.newPage();
  page.setDefaultTimeout(LIMIT);
  page.on("console", (message) => message.type() === "error" && page.url().startsWith(url) && !EXPECTED.test(message.text()) && complaints.push(message.text()));
  page.on("pageerror", (error) => page.url().startsWith(url) && complaints.push(error.stack));
});

after(async () => {
  await context?.close();
  listening?.closeAllConnections();
  listening?.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 3 });
});

const rowOf = (text) => page.getByRole("row").filter({ hasText: text });
const main = () => page.locator("main");

/** Opens the page at a route, once more if a part of it was lost on the way. */
async function open(route) {
  await page.goto(`${url}/${route}`);
  for (let tries = 0; tries < 5; tries += 1) {
    const isThere = await page.locator("main h1").waitFor({ timeout: 10_000 }).then(() => true, () => false);
    if (isThere) {
      return;
    }
    await page.reload();
  }
}

/** At the provider's page. */
async function signInAs(person) {
  await page.waitForURL(`${issuer}/**`);
  await page.locator("input[name=login]").fill(person);
  await page.locator("input[name=password]").fill("any password");
  await page.locator("button[type=submit]").click();
  // The first time, it asks whether it may tell who this is.
  await page.getByRole("button", { name: /continue/i }).click({ timeout: 5_000 }).catch(() => {});
}

/** From the door to wherever the address says, as somebody that the provider does not know yet. */
async function enterAs(person, route, heading) {
  await context.clearCookies();
  await page.goto("about:blank");
  await open(route);
  await page.getByRole("link", { name: "Sign in with your provider" }).click();
  await signInAs(person);
  await page.getByRole("heading", { level: 1, name: heading }).waitFor();
}

async function signOut() {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("link", { name: "Sign in with your provider" }).waitFor();
}

/** What the browser is told when it asks with what it has. */
const asked = (path, options) => page.evaluate(async ([path, options]) => (await fetch(path, options)).status, [path, options]);

async function looked(name, themes = [["light", 1280], ["dark", 1280], ["light", 360]]) {
  for (const [theme, width] of themes) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: 860 });
    await page.screenshot({ path: join(screenshots, `dashboard-${name}-${theme}-${width}.png`), fullPage: true });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${name} is ${overflow} px too wide for ${width}`);
    const cut = await page.evaluate(() => [...document.querySelectorAll(".scroll")].filter((of) => of.scrollWidth > of.clientWidth).length);
    assert.ok(width > 600 || cut === 0, `${cut} tables of ${name} have to be scrolled`);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], `${name}, ${theme}, ${width} px`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 860 });
}

test("the door leads to the provider, and who has no role does not come in", async () => {
  await open("");
  await page.getByRole("link", { name: "Sign in with your provider" }).waitFor();
  await looked("door");
  await page.getByRole("link", { name: "Sign in with your provider" }).click();
  await signInAs("nadia");
  await page.getByRole("heading", { level: 1, name: "You have no access" }).waitFor();
  await page.getByText("nadia@example.com").waitFor();
  await looked("no-access");
  assert.equal(await asked("/api/overview"), 401);
  const cookies = await context.cookies(url);
  assert.ok(!cookies.some(({ name }) => name.startsWith("__Host-")), JSON.stringify(cookies));
});

test("somebody else signs in after that, and a viewer sees and changes nothing", async () => {
  await page.getByRole("link", { name: "Sign in again" }).click();
  await signInAs("vera");
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.getByRole("link", { name: "vera@example.com viewer" }).waitFor();
  await page.getByRole("heading", { name: "Freshness", exact: true }).waitFor();
  for (const [route, heading] of [["#/", "Overview"], ["#/runs", "Runs"], ["#/stores", "Stores"], ["#/stores/store-0001", "store-0001"], ["#/delivery", "Delivery"], ["#/access", "Access"]]) {
    await open(route);
    await page.getByRole("heading", { level: 1, name: heading }).waitFor();
    await page.waitForFunction(() => !document.querySelector("main").innerText.includes("Loading"));
    const buttons = await main().getByRole("button").allInnerTexts();
    const others = buttons.filter((name) => name && !/^(Next|Previous|Newer|Older|Export|Close)/.test(name));
    assert.deepEqual(others, [], `${route} offers what a viewer may not`);
  }
  assert.equal(await page.getByRole("link", { name: "Audit" }).count(), 0);
  assert.equal(await asked("/api/audit"), 403);
});

test("a session's cookie is nobody's to read, and who signs out is out", async () => {
  const session = (await context.cookies(url)).find(({ name }) => name === "__Host-seedbed-session");
  assert.deepEqual([session.httpOnly, session.secure, session.sameSite, session.path], [true, true, "Lax", "/"]);
  assert.ok(!(await page.evaluate(() => document.cookie)).includes("seedbed"));
  await signOut();
  assert.equal(await asked("/api/overview"), 401);
  // Also whoever has kept the cookie.
  await context.addCookies([session]);
  assert.equal(await asked("/api/overview"), 401);
  await page.goBack();
  await page.reload();
  await page.getByRole("link", { name: "Sign in with your provider" }).waitFor();
});

test("an operator comes back to where the door stood, and turns the delivery off and on", async () => {
  await enterAs("otto", "#/delivery", "Delivery");
  assert.ok(page.url().endsWith("/#/delivery"), page.url());
  await page.getByText("Every device gets the snapshot of its store.").waitFor();
  await page.getByRole("button", { name: "Send all devices to the normal sync" }).click();
  await page.getByRole("button", { name: "Turn the delivery off" }).click();
  await page.getByText("The delivery is off: every device syncs as without Seedbed.").waitFor();
  const download = async () => (await fetch(`${url}/database?store_id=store-0001`, { headers: { authorization: `Bearer ${clientToken}` } })).status;
  while ((await download()) === 200) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await looked("delivery-off", [["light", 1280]]);
  await page.getByRole("button", { name: "Hand snapshots out again" }).click();
  await page.getByRole("button", { name: "Turn the delivery on" }).click();
  await page.getByText("Every device gets the snapshot of its store.").waitFor();
  await page.getByRole("button", { name: "Set the share: Streams" }).click();
  await page.getByLabel("Per cent of the stores").fill("12.5");
  await page.getByRole("button", { name: "Set it" }).click();
  await rowOf("Streams").getByText("12.5 %").waitFor();
  await page.getByText("A part of the stores gets snapshots").waitFor();
  assert.equal(await page.getByRole("heading", { name: "Forget a store" }).count(), 0);
  assert.equal(await page.getByRole("button", { name: "Take all snapshots back" }).count(), 0);
});

test("an operator takes the snapshot of a store back", async () => {
  await page.getByLabel("Store", { exact: true }).fill("store-0003");
  await page.getByRole("button", { name: "Take its snapshot back" }).click();
  await page.getByRole("button", { name: "Take back", exact: true }).click();
  await page.getByText("1 snapshot taken back; 0 stores have the one before again.").waitFor();
  await page.getByLabel("Store", { exact: true }).fill("nowhere");
  await page.getByRole("button", { name: "Take its snapshot back" }).click();
  await page.getByRole("button", { name: "Take back", exact: true }).click();
  await page.getByRole("alert").filter({ hasText: "nowhere" }).waitFor();
  await page.getByRole("button", { name: "Not now" }).click();
});

test("a token is shown once, works within its role, and is revoked", async () => {
  await page.getByRole("link", { name: "otto@example.com operator" }).click();
  await page.getByText("There is no token yet.").waitFor();
  await page.getByRole("button", { name: "Make a token" }).click();
  assert.deepEqual(await page.getByLabel("Role").locator("option").evaluateAll((all) => all.map(({ value }) => value)), ["viewer", "operator"]);
  await page.getByLabel("Name, as the audit log calls it").fill("grafana");
  await page.getByRole("button", { name: "Make it" }).click();
  const token = await page.getByLabel("Token", { exact: true }).inputValue();
  assert.match(token, /^seedbed_[\w-]{43}$/);
  await looked("token", [["light", 1280], ["light", 360]]);
  await page.getByRole("button", { name: "I have it" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const row = rowOf("grafana");
  await row.getByText("not yet").waitFor();
  assert.ok(!(await page.content()).includes(token), "it is still on the page");
  const headers = { Authorization: `Bearer ${token}` };
  const { actor, role } = await (await fetch(`${url}/api/session`, { headers })).json();
  assert.deepEqual([actor, role], ["token grafana", "viewer"]);
  assert.equal((await fetch(`${url}/api/audit`, { headers })).status, 403);
  await looked("access");
  // The server notes the use after its answer.
  await page.waitForFunction(async () => (await (await fetch("/api/tokens")).json()).tokens.every(({ lastUsedAt }) => lastUsedAt));
  await row.getByRole("button", { name: "Revoke grafana" }).click();
  await page.getByRole("button", { name: "Revoke it" }).click();
  await row.getByText("revoked").waitFor();
  assert.equal((await fetch(`${url}/api/session`, { headers })).status, 401);
  await row.getByText("not yet").waitFor({ state: "detached" });
});

test("a page of a neighbour, which the browser sends the cookie from, changes nothing", async () => {
  const before = await page.evaluate(async () => (await fetch("/api/delivery")).json());
  const neighbour = await context.newPage();
  await neighbour.goto(`${issuer}/.well-known/openid-configuration`);
  await neighbour.evaluate(async (url) => {
    for (const body of ['{"what":"all","share":0}', undefined]) {
      for (const path of ["/api/delivery", "/api/session/end"]) {
        await fetch(`${url}${path}`, { method: "POST", mode: "no-cors", credentials: "include", body }).catch(() => {});
      }
    }
  }, url);
  await neighbour.close();
  assert.equal(await asked("/api/overview"), 200, "it has not signed anybody out");
  assert.equal(await asked("/api/delivery", { method: "POST", headers: { "content-type": "application/json" }, body: '{"share":0}' }), 403);
  assert.deepEqual(await page.evaluate(async () => (await fetch("/api/delivery")).json()), before);
  await signOut();
});

test("an administrator forgets a store, sees what that does not reach, and allows it again", async () => {
  await enterAs("ada", "#/delivery", "Delivery");
  await looked("delivery");
  const form = page.locator("section").filter({ hasText: "Removes all snapshots" });
  await form.getByLabel("Store", { exact: true }).fill("store-0007");
  await form.getByRole("button", { name: "Forget it" }).click();
  await page.getByLabel("Write its id again").fill("store-0070");
  await page.getByRole("dialog").getByRole("button", { name: "Forget it" }).click();
  await page.getByText("This is another id.").waitFor();
  await page.getByLabel("Write its id again").fill("store-0007");
  await page.getByRole("dialog").getByRole("button", { name: "Forget it" }).click();
  await page.getByRole("heading", { name: "The store is forgotten" }).waitFor();
  await page.getByText("backups: of the catalog").waitFor();
  await page.getByRole("button", { name: "Understood" }).click();
  await rowOf("store-0007").waitFor();
  await looked("forgotten", [["light", 1280], ["light", 360]]);
  await page.getByRole("button", { name: /^Allow .*store-0007/ }).click();
  await page.getByRole("button", { name: "Allow it" }).click();
  await page.getByText("No store is forgotten.").waitFor();
  await page.getByRole("button", { name: "Take all snapshots back" }).click();
  await page.getByRole("button", { name: "Take back", exact: true }).click();
  await page.getByText("10 snapshots taken back").waitFor();
});

test("the audit log has who did all of that, and from where", async () => {
  await page.getByRole("link", { name: "Audit" }).click();
  for (const [who, what] of [["ada", "store.forget"], ["ada", "store.allow"], ["ada", "snapshot.withdraw"], ["otto", "delivery.set"], ["otto", "token.create"], ["otto", "store.withdraw"], ["vera", "session.end"]]) {
    await rowOf(`user ${who}@example.com (${who})`).filter({ hasText: what }).first().waitFor();
  }
  await rowOf("nadia@example.com").getByText("refused (no role)").waitFor();
  await looked("audit");
});

test("the browser had nothing to complain about", () => {
  assert.deepEqual(complaints, []);
});
