// Tests of the local page in a browser, run by scripts/check-page.
//
// The tests run in this order, and each continues in the state that the previous one leaves.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

const { PAGE_URL, CHROMIUM, PAGE_TOOLS, PAGE_SCREENSHOT } = process.env;
const packages = createRequire(join(PAGE_TOOLS, "package.json"));
const { chromium } = packages("playwright-core");
const axe = await readFile(packages.resolve("axe-core/axe.min.js"), "utf8");

const template = await readFile(new URL("../../template.yaml", import.meta.url), "utf8");
/** The number of resources of a type in the template. */
const declared = (type) => template.split(`Type: ${type}\n`).length - 1;

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 360, height: 740 };
/** Between the two, where columns are narrow. */
const TABLET = { width: 1000, height: 700 };
/** The limit for every wait, in milliseconds. */
const TIMEOUT = 60_000;

let profile;
let context;
let page;
/** The URLs of all requests. */
const requested = [];
/** Warnings and errors of the page. */
const problems = [];

before(async () => {
  profile = await mkdtemp(join(tmpdir(), "page-test-"));
  context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    viewport: DESKTOP,
    colorScheme: "light",
    reducedMotion: "reduce",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--disable-lcd-text",
    ],
  });
  context.setDefaultTimeout(TIMEOUT);
  context.on("request", (request) => requested.push(request.url()));
  page = await context.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(PAGE_URL);
  await page.getByText("Live", { exact: true }).waitFor();
});

after(async () => {
  await context?.close();
  await rm(profile, { recursive: true, force: true });
});

const button = (name) => page.getByRole("button", { name });
const stage = (name) => page.locator(".stage").filter({ has: page.getByRole("heading", { name, exact: true }) });
const counted = (name, what, count) =>
  stage(name).locator(`[data-count=${what}]`).getByText(String(count), { exact: true }).waitFor();

/** Sends an order by its button and waits for its row; returns its id. */
async function send(name) {
  const response = page.waitForResponse((it) => it.url().endsWith("/orders"));
  await button(name).click();
  const { orderId } = await (await response).json();
  await row(orderId).waitFor();
  return orderId;
}

const row = (orderId) => page.locator(`tr[data-order="${orderId}"]`);
const ended = (orderId, status) => row(orderId).locator(".status").getByText(status, { exact: true }).waitFor();

test("an empty page explains the first step", async () => {
  await page.getByText("No order yet: send one with the buttons.").waitFor();
  assert.equal(await page.locator(".topic").count(), declared("AWS::MSK::Topic"));
  assert.equal(await page.locator(".stage").count(), declared("AWS::Lambda::EventSourceMapping"));
});

test("an order that is sent by its button goes through all stages", async () => {
  const orderId = await send("A good order");
  await ended(orderId, "Completed");
  const { timeline } = await (await page.request.get(new URL(`/orders/${orderId}`, PAGE_URL).href)).json();
  // Topics are read independently: the last event may arrive before earlier ones.
  await row(orderId).locator(".steps li").nth(timeline.length - 1).waitFor();
  assert.deepEqual(
    (await row(orderId).locator(".steps li").allTextContents()).map((step) => step.split(" ")[0]),
    timeline.map(({ event }) => event),
  );
  await page.locator("#announcement").getByText("is completed.").waitFor();
  await counted("payment", "handled", 1);
});

test("an order waits at a stage that is paused, and goes on when it is resumed", async () => {
  const pause = button("Pause payment");
  const resume = button("Resume payment");
  await pause.click();
  await page.locator(".stage.paused").waitFor();
  assert.equal(await resume.textContent(), "Resume");
  const orderId = await send("A good order");
  await row(orderId).getByText("waits for payment, which is paused").waitFor();
  await counted("payment", "waiting", 1);
  await ended(orderId, "Pending");
  await resume.click();
  await ended(orderId, "Completed");
  await counted("payment", "waiting", 0);
  assert.equal(await pause.textContent(), "Pause");
});

test("an order that waits for its payment is cancelled by its button", async () => {
  await button("Pause payment").click();
  await page.locator(".stage.paused").waitFor();
  const orderId = await send("A good order");
  await row(orderId).getByText("waits for payment, which is paused").waitFor();
  const cancel = row(orderId).getByRole("button", { name: "Cancel" });
  await cancel.click();
  await ended(orderId, "Failed");
  assert.ok((await row(orderId).locator(".where").textContent()).startsWith("ORDER_CANCELLED"));
  await cancel.waitFor({ state: "hidden" });
  await button("Resume payment").click();
  await counted("payment", "waiting", 0);
  await ended(orderId, "Failed");
});

test("an order that fails shows its reason", async () => {
  for (const [name, code, words] of [
    ["An invalid one", "VALIDATION_FAILED", "missing customerId"],
    ["One out of stock", "OUT_OF_STOCK", "ESPRESSO-BEANS-1KG"],
    ["One that cannot be paid", "PAYMENT_DECLINED", ""],
  ]) {
    const orderId = await send(name);
    await ended(orderId, "Failed");
    const reason = await row(orderId).locator(".where").textContent();
    assert.ok(reason.startsWith(code) && reason.includes(words), reason);
    const failure = page.locator("#failures li").first();
    assert.equal(await failure.locator(".code").textContent(), code);
    assert.ok((await failure.locator(".reason").textContent()).includes(words));
  }
});

test("failures are counted near the top, and opened by keyboard", async () => {
  const failed = await page.locator(".status.failed").count();
  await page.locator("#failure-count").getByText(`${failed} failed orders, 0 malformed records`, { exact: true }).waitFor();
  const summary = page.locator("summary");
  assert.ok((await summary.boundingBox()).y < 400);
  assert.equal(await page.locator("#failures").isVisible(), false);
  await summary.focus();
  await page.keyboard.press("Enter");
  await page.locator("#failures li").nth(failed - 1).waitFor();
  await page.keyboard.press("Enter");
  await page.locator("#failures").waitFor({ state: "hidden" });
});

test("a stage shows the last lines of its function's log", async () => {
  const orderId = await send("A good order");
  await ended(orderId, "Completed");
  const name = stage("inventory: reserve").getByRole("button", { name: "inventory: reserve", exact: true });
  await name.focus();
  await page.keyboard.press("Enter");
  const log = page.getByRole("dialog", { name: "Log of inventory: reserve" });
  await log.getByText(/The last \d+ lines of .*inventory\.log\./).waitFor();
  const line = log.locator("li").filter({ hasText: `orderId=${orderId}` }).first();
  assert.match(await line.textContent(), /^\d\d:\d\d:\d\d INFO decided orderId=.* stage=inventory .*outcome=accepted/);
  const before = await log.locator("li").count();
  assert.ok(before <= 200);
  await log.getByRole("button", { name: "Refresh" }).click();
  await line.waitFor();
  await page.keyboard.press("Escape");
  await log.waitFor({ state: "hidden" });
  assert.equal(await focused(), "inventory: reserve");
});

test("a partition that cannot be read is shown at the top, and foreign text is no markup", async () => {
  const foreign = "<img src=x onerror=\"document.title='run'\">";
  const stub = await context.newPage();
  const validator = {
    id: "V", name: "validator", handled: 0, waiting: 1, retrying: 0, redelivered: 0, deadLettered: 0, isPaused: false,
    unreadable: [{ partition: 2, reason: foreign }],
  };
  const state = {
    start: { samples: {}, keptOrders: 200 },
    pipeline: { topics: [{ name: "order.created", records: 1, stages: [validator] }] },
    orders: [],
    failures: {
      failedOrders: 0, malformedRecords: 1,
      newest: [{ orderId: foreign, reason: `MALFORMED_EVENT: ${foreign}`, stage: "validator", at: 0, isMalformedReport: true }],
    },
  };
  const log = { file: foreign, omittedBytes: 1234, lines: [foreign, JSON.stringify({ level: "ERROR", message: foreign, [foreign]: foreign })] };
  const fulfill = (path, response) => stub.route(`**/_page/${path}`, (route) => route.fulfill(response));
  await fulfill("feed", { contentType: "text/event-stream", body: `data: ${JSON.stringify(state)}\n\n` });
  await fulfill("mappings/V/log", { contentType: "application/json", body: JSON.stringify(log) });
  await stub.goto(PAGE_URL);
  await stub.getByRole("alert").getByText(`order.created, partition 2: validator cannot read it: ${foreign}. Its records wait.`).waitFor();
  await stub.locator("#failure-count").getByText("0 failed orders, 1 malformed record", { exact: true }).waitFor();
  assert.equal(await stub.locator("#failures .reason").textContent(), foreign);
  await stub.getByRole("button", { name: "validator", exact: true }).click();
  await stub.getByText(`The last 2 lines of ${foreign}. 1,234 bytes before them are not shown.`).waitFor();
  assert.deepEqual((await stub.locator("#log-lines li").allTextContents()).map((line) => line.trim()), [
    foreign, `ERROR ${foreign} ${foreign}=${foreign}`,
  ]);
  assert.equal(await stub.locator("img").count(), 0);
  assert.equal(await stub.title(), "Order workflow");
  await stub.close();
});

test("an order that is delivered again is published again and takes nothing twice", async () => {
  const orderId = await send("A good order");
  await ended(orderId, "Completed");
  const stock = await handled("inventory: reserve");
  await row(orderId).getByRole("button", { name: "Deliver again" }).click();
  await row(orderId).locator(".steps li").last().getByText("×2").waitFor();
  await counted("inventory: reserve", "handled", stock + 1);
  const { timeline } = await (await fetch(new URL(`/orders/${orderId}`, PAGE_URL))).json();
  assert.equal(timeline.length, 5);
});

test("an order is found by its whole id or its customer, and a cut list shows its length", async () => {
  const orderId = await send("A good order");
  const id = row(orderId).locator(".order-id");
  assert.equal(await id.textContent(), orderId);
  await id.click();
  assert.equal(await page.evaluate(() => getSelection().toString()), orderId);
  const rows = page.locator("#orders tbody tr:visible");
  const shown = page.locator("#shown");
  const all = await rows.count();
  assert.equal(await shown.textContent(), "");
  const filter = page.getByLabel("Find by order id or customer");
  await filter.fill(orderId);
  assert.equal(await rows.count(), 1);
  assert.equal(await shown.textContent(), `1 of ${all} shown`);
  const customer = (await row(orderId).locator(".what").textContent()).split(" for ")[1];
  await filter.fill(customer);
  await row(orderId).waitFor();
  await filter.fill("no such order");
  assert.equal(await shown.textContent(), `0 of ${all} shown`);
  await filter.fill("");
  const status = page.getByLabel("Status", { exact: true });
  await status.selectOption("Failed");
  assert.equal(await rows.count(), await page.locator(".status.failed").count());
  assert.equal(await row(orderId).isVisible(), false);
  await status.selectOption("All");
  assert.equal(await rows.count(), all);
  assert.equal(await shown.textContent(), "");
});

const handled = async (name) => Number(await stage(name).locator("[data-count=handled]").textContent());

test("everything can be done by keyboard", async () => {
  await page.reload();
  await page.getByText("Live", { exact: true }).waitFor();
  const before = await page.locator("#orders tbody tr").count();
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "A good order");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid");
  await page.keyboard.press("Enter");
  await page.locator("#orders tbody tr").nth(before).waitFor();
  for (let presses = 0; (await focused()) !== "Pause"; presses += 1) {
    assert.ok(presses < 10, "the first stage is reached");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Space");
  await page.locator(".stage.paused").waitFor();
  await page.keyboard.press("Space");
  await page.locator(".stage.paused").waitFor({ state: "detached" });
});

const focused = () => page.evaluate(() => document.activeElement.textContent);

test("the page breaks no accessibility rule, light and dark, at any width", async () => {
  // Include a paused stage and a waiting order.
  await button("Pause payment").click();
  await page.locator(".stage.paused").waitFor();
  const orderId = await send("A good order");
  await row(orderId).getByText("waits for payment").waitFor();
  await page.locator("summary").click();
  await accessible();
  await stage("payment").getByRole("button", { name: "payment", exact: true }).click();
  await page.locator("#log-lines li").first().waitFor();
  await accessible();
  await button("Close").click();
  await page.locator("summary").click();
});

/** Checks the accessibility rules in each viewport and colour scheme, and that nothing overflows. */
async function accessible() {
  for (const viewport of [DESKTOP, TABLET, PHONE]) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      // Injected by the driver, because the page's content security policy would block it.
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const found = violations.map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.html).join(" ")}`);
      assert.deepEqual(found, [], `${viewport.width} px, ${colorScheme}`);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= viewport.width, `the page is ${width} px wide in a viewport of ${viewport.width} px`);
    }
  }
}

test("the screenshot for the README is taken", { skip: !PAGE_SCREENSHOT }, async () => {
  await page.setViewportSize({ width: 1200, height: 710 });
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await ended(await send("One out of stock"), "Failed");
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: PAGE_SCREENSHOT });
});

test("no request left the page's origin, and the console has no warnings", () => {
  const here = new URL(PAGE_URL).origin;
  const foreign = requested.filter((address) => new URL(address).origin !== here);
  assert.ok(requested.length > 5);
  assert.deepEqual(foreign, []);
  assert.deepEqual(problems, []);
});
