// What people do with the dashboard, in a real browser; tests/it/delivery/dashboard.rs starts the server and this.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

const {
  DASHBOARD_URL: url,
  DASHBOARD_TOKEN: token,
  DASHBOARD_HOSTILE_STORE: hostile,
  DASHBOARD_RTL_STORE: rtl,
  DASHBOARD_HEAL_URL: healUrl,
  DASHBOARD_CLIENT_TOKEN: clientToken,
  DASHBOARD_MODULES: modules,
  DASHBOARD_SCREENSHOTS: screenshots,
  DASHBOARD_PICTURE: picture,
  SEEDBED_WRITE_PICTURES: writes,
} = process.env;
const require = createRequire(join(modules, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const LIMIT = 60_000;
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

let profile, context, page;
/** Whatever the browser complained about; nothing may stay in here. */
const complaints = [];

before(async () => {
  mkdirSync(screenshots, { recursive: true });
  profile = mkdtempSync(join(tmpdir(), "seedbed-dashboard-"));
  context = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium-headless-shell",
    args: FLAGS,
    viewport: { width: 1280, height: 860 },
  });
  page = await context.newPage();
  page.setDefaultTimeout(LIMIT);
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("dialog", (dialog) => complaints.push(`a dialog: ${dialog.message()}`) && dialog.dismiss());
  // What a view has asked for when it is left is no longer wanted.
  page.on("requestfailed", (request) => {
    const why = request.failure().errorText;
    return why === "net::ERR_ABORTED" || complaints.push(`${request.url()}: ${why}`);
  });
});

after(async () => {
  await context?.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 3 });
});

const seeded = async () => Number((await page.getByRole("progressbar").first().getAttribute("aria-valuetext")).match(/^[\d,]+/)[0].replace(",", ""));
const rowOf = (text) => page.getByRole("row").filter({ hasText: text });

test("a wrong token is refused, the right one lets in", async () => {
  await page.goto(url);
  await page.getByLabel("Admin token").fill("a wrong token for tests");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This token is wrong, expired or revoked.").waitFor();
  await page.getByLabel("Admin token").fill(token);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  // The browser itself reports the refusals of requests.
  const others = complaints.splice(0).filter((text) => !text.includes("401"));
  assert.deepEqual(others, []);
});

test("progress moves while a run goes on", async () => {
  await page.getByRole("heading", { name: "Run in progress" }).waitFor();
  const first = await seeded();
  await page.waitForFunction(
    (before) => parseInt(document.querySelector("[role=progressbar]").getAttribute("aria-valuetext"), 10) > before,
    first,
  );
  await page.getByRole("heading", { name: "Run in progress" }).waitFor();
  assert.ok((await seeded()) > first);
});

test("a failed store is found, its reason read, and it turns green when it is tried again", async () => {
  await page.getByRole("heading", { name: "Last run", exact: true }).waitFor();
  await page.getByRole("link", { name: "Stores", exact: true }).click();
  await page.getByLabel("Search by id").fill("0042");
  const row = rowOf("store-0042");
  await row.getByText("PSYNC_S2305").waitFor();
  await page.getByText("1 store found", { exact: true }).waitFor();
  assert.equal(await page.locator("tbody tr").count(), 1);
  await fetch(healUrl, { method: "POST" });
  await row.getByRole("button", { name: "Retry store-0042" }).click();
  await row.locator(".badge.completed").waitFor();
  assert.equal(await row.getByText("PSYNC_S2305").count(), 0);
});

test("what fails for one reason is one row, with a trace of what it is and two things to do", async () => {
  await page.goto(`${url}/#/failures`);
  const row = rowOf("PSYNC_S2305");
  await row.getByRole("button", { name: /^Retry all 2 of reason [0-9a-f]{10}$/ }).waitFor();
  assert.equal(await page.locator("tbody tr").count(), 1);
  assert.match((await row.innerText()).replace(/\s+/g, " "), /^PSYNC_S2305 sync · PowerSync .* 2 .* ago .*store-0007/);
  await row.getByRole("button", { name: /^Quarantine all 2 of reason/ }).click();
  await page.getByRole("dialog").getByRole("heading", { name: "Quarantine 2 stores?" }).waitFor();
  await page.getByRole("button", { name: "Not now" }).click();
  await page.getByRole("link", { name: "Runs", exact: true }).click();
  await page.getByRole("row").filter({ hasText: "local" }).last().getByRole("link").first().click();
  await page.getByRole("heading", { name: "Failures by reason" }).waitFor();
  await rowOf("PSYNC_S2305").first().getByText("1 with a later job").waitFor();
  assert.match(await rowOf("PSYNC_S2305").first().textContent(), /\d \(1 with a later job\)/);
});

test("the keyboard alone leads to a failure and has it tried again", async () => {
  await page.goto(`${url}/#/`);
  await page.getByRole("button", { name: "Retry store-0007" }).waitFor();
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  for (let tabs = 0; (await focused()) !== "Retry store-0007"; tabs += 1) {
    assert.ok(tabs < 80, "80 tabs do not lead to it");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await rowOf("store-0007").getByText("since then: completed").waitFor();
  assert.equal(await page.getByRole("button", { name: "Retry store-0007" }).count(), 0);
});

test("a store's id is a text, whatever it looks like", async () => {
  await page.goto(`${url}/#/stores/${encodeURIComponent(hostile)}`);
  const shown = hostile.replace("\u202e", "\\u{202e}").replace("\u200b", "\\u{200b}");
  assert.notEqual(shown, hostile);
  await page.getByRole("heading", { level: 1, name: shown }).waitFor();
  assert.ok(!(await page.title()).includes("\u202e"));
  await page.getByRole("heading", { name: "Why it failed" }).waitFor();
  assert.equal(await page.locator("img").count(), 0);
  await page.getByRole("button", { name: "Retry", exact: true }).click();
  await page.getByRole("heading", { name: "Live snapshot" }).waitFor();
  await page.locator(".lead .badge.completed").waitFor();
});

test("an id that is read from the right turns nothing else around", async () => {
  await page.goto(`${url}/#/stores?search=${encodeURIComponent(rtl)}`);
  const link = page.getByRole("link", { name: rtl, exact: true });
  await link.waitFor();
  const directions = await link.evaluate((of) => [of.querySelector("bdi"), of.closest("td")].map((element) => getComputedStyle(element).direction));
  assert.deepEqual(directions, ["rtl", "ltr"]);
});

test("a run is seen in time, with what bounded it, and is saved as a picture", async () => {
  const headers = { Authorization: `Bearer ${token}` };
  const { runs } = await (await fetch(`${url}/api/runs`, { headers })).json();
  const sweep = runs.find(({ kind }) => kind === "local");
  await page.goto(`${url}/#/runs/${sweep.runId}`);
  await page.getByRole("link", { name: "Timeline: what bounded this run" }).click();
  await page.getByRole("heading", { name: "What bounded it" }).waitFor();
  // The service answers late.
  assert.match(await page.locator(".bound").innerText(), /^Bounded by the service: workers were busy for \d+ % of the time, with \d+ % of it in compare and sync/);
  const picture = page.getByRole("img", { name: /^Run .*: Bounded by the service/ });
  assert.equal(await picture.locator(".failed-job").count(), 3);
  assert.ok((await picture.locator(".step-sync").count()) > 100);
  assert.ok((await picture.locator("title").allTextContents()).some((text) => text.includes("<img src=x")));
  assert.equal(await page.locator("img").count(), 0);
  const slowest = page.getByRole("region", { name: "The slowest stores" });
  assert.equal(await slowest.locator("tbody tr").count(), 5);
  assert.equal(await page.getByRole("region", { name: "Failed stores" }).locator("tbody tr").count(), 3);
  assert.match(await page.getByRole("region", { name: "Steps" }).innerText(), /sync\s+PowerSync/);
  const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as SVG" }).click()]);
  assert.equal(saved.suggestedFilename(), `run-${sweep.runId}.svg`);
  assert.ok(readFileSync(await saved.path(), "utf8").startsWith("<svg "));
});

test("what was promised is shown with what came of it", async () => {
  await page.goto(`${url}/#/`);
  await page.getByText("Promised: 99 % of stores have a snapshot younger than 1 d 12 h.").waitFor();
  const card = page.locator("section").filter({ hasText: "Freshness over 30 days" });
  await card.getByText("As a table").click();
  const rows = card.locator("tbody tr");
  assert.ok((await rows.count()) >= 29);
  assert.equal(await rows.filter({ hasText: "missed" }).count(), 2);
  // Of the 1 % that may be missed, 0.3 % were.
  assert.match((await card.innerText()).replace(/\s+/g, " "), /Over 30 days 99\.7 % Error budget 70 % left/);
});

test("the keyboard chooses a period on a narrow screen", async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  await page.goto(`${url}/#/sizes`);
  await page.getByRole("heading", { name: "The largest stores" }).waitFor();
  // Rows are cards, and are read out as rows all the same.
  const card = rowOf("store-0001");
  assert.equal(await card.getByRole("cell").count(), 5);
  assert.equal(await card.evaluate((of) => getComputedStyle(of).display), "block");
  const focused = () => page.evaluate(() => document.activeElement.id);
  for (let tabs = 0; (await focused()) !== "period"; tabs += 1) {
    assert.ok(tabs < 20, "20 tabs do not lead to the period");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("ArrowUp");
  await page.waitForURL(/days=7$/);
  await page.setViewportSize({ width: 1280, height: 860 });
});

test("figures of first launches are empty at first, and then seen and saved", async () => {
  await page.goto(`${url}/#/launches?days=7`);
  await page.getByText("No launch was reported in this period.").waitFor();
  const launch = (number, more) => ({
    v: 1, launch: `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`, platform: "react-native", outcome: "installed", form: "compact",
    encoding: "gzip", bytes: 13_400_000, seconds: { waiting: 0.3, downloading: number, finishing: 2.5 }, ...more,
  });
  const fallback = { outcome: "sync", reason: "no_snapshot", form: null, encoding: null, bytes: 0, seconds: { waiting: 0.2 } };
  const launches = Array.from({ length: 12 }, (_, number) => launch(number, number < 9 ? {} : { ...fallback, reason: number === 9 ? "wrong_generation" : "no_snapshot" }));
  launches.push(launch(12, { platform: "web", form: "file", encoding: "identity", resumes: 2 }));
  for (const body of launches) {
    const headers = { authorization: `Bearer ${clientToken}`, "content-type": "application/json" };
    const answer = await fetch(`${url}/reports?store_id=store-0001`, { method: "POST", headers, body: JSON.stringify(body) });
    assert.equal(answer.status, 204, await answer.text());
  }
  const download = await fetch(`${url}/database?store_id=store-0001`, { headers: { authorization: `Bearer ${clientToken}` } });
  assert.equal(download.status, 200);
  await page.reload();
  await page.getByText("10 (77 %)").waitFor();
  const times = rowOf("react-native").filter({ hasText: "compact/gzip" });
  assert.match((await times.innerText()).replace(/\s+/g, " "), /react-native compact\/gzip 9 6\.8 s 10\.8 s 12\.8 MiB/);
  assert.match((await rowOf("no_snapshot").innerText()).replace(/\s+/g, " "), /There was no snapshot of the store no_snapshot 2 15 % react-native/);
  assert.equal(await page.getByLabel("Period").inputValue(), "7");
  for (const [route, file, columns] of [
    ["launches", "launches.csv", "platform,outcome,"],
    ["sizes", "sizes.csv", "store_id,bytes,"],
    ["costs", "costs.csv", "what,day,"],
  ]) {
    await page.goto(`${url}/#/${route}`);
    const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export as CSV" }).click()]);
    assert.equal(saved.suggestedFilename(), file);
    assert.ok(readFileSync(await saved.path(), "utf8").startsWith(columns), file);
  }
});

test("what is handed out is shown with its price", async () => {
  const headers = { Authorization: `Bearer ${token}` };
  const isRecorded = async () => (await (await fetch(`${url}/api/costs`, { headers })).json()).handedOut.length > 0;
  while (!(await isRecorded())) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await page.goto(`${url}/#/costs`);
  await page.reload();
  const row = rowOf("file/identity");
  await row.waitFor();
  assert.match((await row.innerText()).replace(/\s+/g, " "), /file\/identity 1 92 KiB 0\.00\d+ USD/);
  await page.getByText("23 USD for a GiB stored for a month, 90 USD for a GiB handed out").waitFor();
});

/**
 * The picture in the documents is of this view. Its headings are kept beside it: when the page no longer has one of them, the
 * picture shows what nobody will find.
 */
async function comparePicture() {
  const headings = await page.evaluate(() => {
    const visible = [...document.querySelectorAll("nav a, h1, h2, h3")].filter((heading) => heading.checkVisibility());
    // Without what changes from run to run: "Failures (3)".
    return [...new Set(visible.map((heading) => heading.innerText.replace(/\s*\(\d+\)$/, "").trim()))].sort();
  });
  const list = picture.replace(/\.png$/, ".txt");
  if (writes) {
    copyFileSync(join(screenshots, "dashboard-overview-dark-1280.png"), picture);
    writeFileSync(list, `${headings.join("\n")}\n`);
  }
  const shown = readFileSync(list, "utf8").trim().split("\n");
  assert.ok(shown.length >= 10, `${shown}`);
  const gone = shown.filter((heading) => !headings.includes(heading));
  const remedy = "SEEDBED_WRITE_PICTURES=yes tests/run.sh people_follow_a_run makes deploy/images/dashboard.png anew; look at it";
  assert.deepEqual(gone, [], `the page has no longer what its picture shows: ${remedy}`);
}

test("every view is accessible and fits, light and dark, wide and narrow", async () => {
  const headers = { Authorization: `Bearer ${token}` };
  const { runs } = await (await fetch(`${url}/api/runs`, { headers })).json();
  const views = {
    overview: ["#/", "Freshness"],
    stores: ["#/stores", "Stores"],
    store: ["#/stores/store-0042", "Snapshots"],
    failures: ["#/failures", "Failures"],
    runs: ["#/runs", "Runs"],
    run: [`#/runs/${runs[0].runId}`, "Jobs"],
    timeline: [`#/runs/${runs.at(-1).runId}/timeline`, "What bounded it"],
    hostile: [`#/stores/${encodeURIComponent(hostile)}`, "Snapshots"],
    launches: ["#/launches", "Reasons for falling back"],
    sizes: ["#/sizes", "The largest stores"],
    costs: ["#/costs", "Storage and traffic"],
    audit: ["#/audit", "Audit log"],
  };
  for (const [theme, width] of [["light", 1280], ["dark", 1280], ["light", 360]]) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: 860 });
    for (const [name, [route, heading]] of Object.entries(views)) {
      await page.goto(`${url}/${route}`);
      await page.getByRole("heading", { name: heading, exact: true }).first().waitFor();
      await page.waitForFunction(() => !document.querySelector("main").innerText.includes("Loading"));
      await page.screenshot({ path: join(screenshots, `dashboard-${name}-${theme}-${width}.png`), fullPage: true });
      if (name === "overview" && theme === "dark") await comparePicture();
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${name} is ${overflow} px too wide for ${width}`);
      const cut = await page.evaluate(() => [...document.querySelectorAll(".scroll")].filter((of) => of.scrollWidth > of.clientWidth).length);
      assert.ok(width > 600 || cut === 0, `${cut} tables of ${name} have to be scrolled`);
      const moving = await page.evaluate(() => document.getAnimations().length);
      assert.equal(moving, 0, `something of ${name} moves`);
      // Evaluated by the debugger, which the page's policy does not keep from it.
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`);
      assert.deepEqual(found, [], `${name}, ${theme}, ${width} px`);
    }
  }
});

test("the browser had nothing to complain about", () => {
  assert.deepEqual(complaints, []);
});
