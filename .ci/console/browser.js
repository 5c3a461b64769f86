// The browser, and what every page of it must hold to: no error, no report of
// the content security policy, no request to anywhere else, no dialog that was
// not expected.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { password } from "./service.js";

const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });

/** visit opens a browser of its own at the service, signed in when a user name
 * is given. What goes wrong in it is collected in page.wrong. */
export async function visit(browser, service, username, { width = 1280, theme = "light", clock } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: theme, locale: "en-GB", timezoneId: "Europe/Lisbon" });
  const page = await watched(context, service);
  if (clock) await page.clock.install();
  await page.goto(service.base + "/");
  if (username) await signIn(page, username);
  return page;
}

/** watched is a page, or one more tab of a browser, under watch. */
export async function watched(context, service) {
  const page = await context.newPage();
  page.wrong = [];
  page.on("pageerror", (error) => page.wrong.push(error.stack ?? String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/^Failed to load resource/.test(message.text())) page.wrong.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(service.base + "/")) page.wrong.push("a request to " + request.url());
  });
  page.answer = true; // to the next questions
  page.on("dialog", (dialog) => {
    if (dialog.type() === "alert") page.wrong.push("an alert");
    return page.answer === false ? dialog.dismiss() : dialog.accept(page.answer === true ? undefined : page.answer);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error("CSP: " + event.violatedDirective + " " + event.blockedURI + " " + event.sample));
  });
  return page;
}

export async function signIn(page, username, secret = password) {
  await page.getByLabel("User name").fill(username);
  await page.getByLabel("Password").fill(secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#top nav").waitFor({ state: "attached" });
}

/** open shows an address and waits until it is all there. */
export async function open(page, address) {
  await page.evaluate((hash) => new Promise((done) => {
    if (location.hash === hash) return done();
    addEventListener("hashchange", done, { once: true });
    location.hash = hash;
  }), address);
  await settled(page);
}

export async function settled(page) {
  await page.locator("main:not([aria-busy]) > *").first().waitFor();
  await page.waitForLoadState("networkidle");
}

/** sees waits for a text in the page. */
export const sees = (page, text) => page.locator("main").getByText(text).first().waitFor({ timeout: 10000 });

export async function leave(page) {
  assert.deepEqual(page.wrong, [], "what went wrong in the page");
  await page.context().close();
}
