// What people expect of any page: the back button, that nothing typed is lost,
// that text is text. The tokens live for six seconds here, so that they are
// renewed all the time.
import assert from "node:assert/strict";
import { leave, open, sees, settled, signIn, visit, watched } from "./browser.js";

export const settings = { ACCESS_TOKEN_LIFETIME: "6s" };

export async function addressesAndTheBackButton({ browser, service, ids }) {
  const page = await visit(browser, service, "margaret");
  await page.getByRole("link", { name: "Dizzy in the morning" }).click();
  await page.getByRole("heading", { name: "Dizzy in the morning", level: 1 }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1", "a new page begins at its heading");
  assert.match(await page.title(), /^Dizzy in the morning/);
  await page.goBack();
  await page.getByRole("heading", { name: "My records" }).waitFor();
  await page.goForward();
  await page.getByRole("heading", { name: "Dizzy in the morning" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Dizzy in the morning" }).waitFor();

  await page.setViewportSize({ width: 1280, height: 400 });
  await open(page, "#/");
  const last = page.getByRole("link", { name: "Measured at home" });
  await last.scrollIntoViewIfNeeded();
  const place = await page.evaluate(() => scrollY);
  assert.ok(place > 100);
  await last.click();
  await page.getByRole("heading", { name: "Measured at home", level: 1 }).waitFor();
  assert.equal(await page.evaluate(() => scrollY), 0);
  await page.goBack();
  await page.waitForFunction((y) => scrollY === y && document.querySelector(".entry"), place);

  await open(page, "#/records/" + ids.margaret);
  await sees(page, "This does not exist, or is not for you to see.");
  await open(page, "#/nothing/here");
  await sees(page, "There is no such page");
  await leave(page);
}

export async function leavingWhatIsNotSaved({ browser, service }) {
  const page = await visit(browser, service, "margaret");
  await open(page, "#/records/new");
  await page.getByLabel("Title").fill("Half");
  page.answer = false;
  await page.getByRole("link", { name: "My doctors" }).click();
  assert.equal(await page.evaluate(() => location.hash), "#/records/new");
  assert.equal(await page.getByLabel("Title").inputValue(), "Half");
  page.answer = true;
  await page.getByRole("link", { name: "My doctors" }).click();
  await page.getByRole("heading", { name: "My doctors" }).waitFor();
  await leave(page);
}

export async function theSessionEndsWhileTyping({ browser, service }) {
  const page = await visit(browser, service, "margaret");
  await open(page, "#/records/new");
  await page.getByLabel("Title").fill("Written when it ended");
  await page.getByLabel("What happened").fill("Every word\nof this stays.");
  service.command("user", "sessions", "--end", "margaret");
  await page.getByRole("button", { name: "Save the record" }).click();
  await sees(page, "Your session has ended. What you wrote is kept: sign in to go on.");
  assert.equal(await page.getByText("Every word").count(), 0, "the page is cleared meanwhile");
  await signIn(page, "margaret");
  await page.getByRole("heading", { name: "Written when it ended" }).waitFor();
  await sees(page, "of this stays.");

  await open(page, "#/records/new");
  await page.getByLabel("Title").fill("Not for others");
  service.command("user", "sessions", "--end", "margaret");
  await page.getByRole("button", { name: "Save the record" }).click();
  await sees(page, "Your session has ended.");
  await signIn(page, "jonas");
  await open(page, "#/");
  await sees(page, "Nothing here yet");
  assert.equal(await page.getByText("Not for others").count(), 0);
  await leave(page);
}

export async function anIdleTab({ browser, service }) {
  const page = await visit(browser, service, "margaret", { clock: true });
  await open(page, "#/records/new");
  await page.getByLabel("Title").fill("Interrupted");
  const refresh = await page.evaluate(() => JSON.parse(sessionStorage.getItem("tokens")).refresh);
  await page.clock.fastForward("15:05");
  await sees(page, "You were signed out because nothing was done for 15 minutes. What you wrote is kept");
  assert.equal(await page.locator("#top").getByText("Margaret").count(), 0);
  assert.equal(await page.evaluate(() => sessionStorage.getItem("tokens")), null);
  await page.waitForLoadState("networkidle");
  const answer = await fetch(service.base + "/api/token/refresh/", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ refresh }) });
  assert.equal(answer.status, 401, "the session has ended on the server too");
  await signIn(page, "margaret");
  assert.equal(await page.getByLabel("Title").inputValue(), "Interrupted");
  await leave(page);
}

export async function twoWriteAtOnce({ browser, service, ids }) {
  const page = await visit(browser, service, "margaret"), other = await visit(browser, service, "margaret");
  for (const tab of [page, other]) await open(tab, `#/records/${ids.dizzy}/edit`);
  const first = await other.getByLabel("What happened").inputValue();
  await other.getByLabel("Title").fill("Dizzy, from the other device");
  await other.getByRole("button", { name: "Save the changes" }).click();
  await other.getByRole("heading", { name: "Dizzy, from the other device" }).waitFor();

  await page.getByLabel("What happened").fill(first + " Today again.");
  await page.getByRole("button", { name: "Save the changes" }).click();
  await sees(page, "While you were writing, this was changed elsewhere.");
  await sees(page, "Title, as stored now");
  await sees(page, "What happened, as you wrote it");
  await page.getByRole("button", { name: "Keep mine" }).click();
  await page.getByRole("heading", { name: "Dizzy, from the other device" }).waitFor();
  await sees(page, "Today again.");

  for (const tab of [page, other]) await open(tab, `#/records/${ids.dizzy}/edit`);
  await other.getByLabel("Title").fill("Dizzy in the morning");
  await other.getByRole("button", { name: "Save the changes" }).click();
  await other.getByRole("heading", { name: "Dizzy in the morning" }).waitFor();
  await page.getByLabel("Title").fill("Mine");
  await page.getByRole("button", { name: "Save the changes" }).click();
  await page.getByRole("button", { name: "Take what is stored" }).click();
  assert.equal(await page.getByLabel("Title").inputValue(), "Dizzy in the morning");
  await leave(page);
  await leave(other);
}

export async function twoTabsRenewAtOnce({ browser, service }) {
  const page = await visit(browser, service, "margaret");
  const tab = await watched(page.context(), service);
  await tab.goto(service.base + "/");
  await tab.getByRole("heading", { name: "My records" }).waitFor(); // a new tab is signed in as the first is
  const renewals = [];
  page.context().on("response", (answer) => { if (answer.url().endsWith("/api/token/refresh/")) renewals.push(answer.status()); });
  const ended = Date.now() + 16000;
  while (Date.now() < ended) {
    const here = await page.evaluate(() => location.hash);
    const next = here === "#/doctors" ? "#/" : "#/doctors";
    await Promise.all([page, tab].map((each) => each.evaluate((hash) => { location.hash = hash; }, next)));
    await Promise.all([page, tab].map((each) => each.getByRole("heading", { name: next === "#/" ? "My records" : "My doctors" }).first().waitFor()));
  }
  assert.ok(renewals.length >= 3, "the tokens were renewed " + renewals.length + " times");
  assert.ok(renewals.every((status) => status === 200), "the renewals were " + renewals);
  const tokens = await Promise.all([page, tab].map((each) => each.evaluate(() => sessionStorage.getItem("tokens"))));
  assert.equal(JSON.parse(tokens[0]).refresh, JSON.parse(tokens[1]).refresh, "both tabs have the same tokens");

  await tab.locator("#top").getByRole("button", { name: "Sign out" }).click();
  await sees(page, "You have signed out in another tab.");
  await leave(page);
}

export async function manyRequestsRenewOnce({ browser, service }) {
  const page = await visit(browser, service, "margaret");
  let renewals = 0;
  page.on("request", (request) => { if (request.url().endsWith("/api/token/refresh/")) renewals++; });
  const made = await page.evaluate(async () => {
    const api = await import("/api.js");
    const tokens = JSON.parse(sessionStorage.getItem("tokens"));
    await new Promise((resolve) => setTimeout(resolve, tokens.until - Date.now() + 500));
    const answers = await Promise.all(Array.from({ length: 20 }, () => api.get("/api/me/")));
    return answers.filter(({ body }) => body.role === "patient").length;
  });
  assert.equal(made, 20);
  assert.equal(renewals, 1);
  await leave(page);
}

export async function noConnection({ browser, service }) {
  const page = await visit(browser, service, "margaret");
  await open(page, "#/records/new");
  await page.getByLabel("Title").fill("Written in a tunnel");
  await page.getByLabel("What happened").fill("No network.");
  await page.context().setOffline(true);
  await page.getByRole("button", { name: "Save the record" }).click();
  await sees(page, "No connection to the service.");
  assert.equal(await page.getByLabel("What happened").inputValue(), "No network.");
  await page.context().setOffline(false);
  await page.getByRole("button", { name: "Save the record" }).click();
  await page.getByRole("heading", { name: "Written in a tunnel" }).waitFor();
  await page.context().setOffline(true);
  await page.getByRole("link", { name: "My doctors" }).click();
  await sees(page, "No connection to the service.");
  await page.context().setOffline(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("heading", { name: "My doctors" }).waitFor();
  await leave(page);
}

export async function longListsLoadOn({ browser, service }) {
  const samuel = await service.client("samuel");
  for (let i = 0; i < 60; i++) await samuel("POST", "/api/health-records/", { title: "Day " + i, description: "As before." });
  const page = await visit(browser, service, "samuel");
  await sees(page, "Day 59");
  await page.waitForFunction(() => {
    scrollTo(0, document.body.scrollHeight);
    return document.querySelectorAll(".entry").length >= 61;
  });
  await leave(page);
}

export async function whatIsNewLoadsOn({ browser, service }) {
  const jonas = await service.client("jonas");
  for (let i = 0; i < 60; i++) await jonas("POST", "/api/health-records/", { title: "Night " + i, description: "As before." });
  const henrik = await service.client("henrik"), one = await henrik("GET", "/api/health-records/?page_size=1&search=Measured");
  for (let i = 0; i < 30; i++) await henrik("POST", "/api/doctor-notes/", { health_record: one.results[0].id, note: "Seen " + i });
  const page = await visit(browser, service);
  let asked = 0;
  await page.route("**/api/doctor-notes/?**", async (route) => (++asked === 1 ? route.abort() : route.continue()));
  await signIn(page, "ada");
  await page.getByLabel("Find a patient").waitFor();
  await sees(page, "No connection to the service.");
  await page.getByRole("button", { name: "Try again" }).click();
  await sees(page, "Night 59");
  assert.ok(await page.locator(".entry").count() <= 50, "the first page has at most 25 of each");
  await page.waitForFunction(() => {
    scrollTo(0, document.body.scrollHeight);
    const texts = [...document.querySelectorAll(".entry")].map((n) => n.textContent);
    const of = (word) => new Set(texts.flatMap((text) => text.match(new RegExp(word + " \\d+")) ?? [])).size;
    return of("Night") === 60 && of("Seen") === 30;
  });
  assert.equal(await page.getByText("Night 59").count(), 1);
  await leave(page);
}

export async function byKeyboardAlone({ browser, service }) {
  const page = await visit(browser, service);
  await page.waitForFunction(() => document.activeElement.name === "username");
  await page.keyboard.type("margaret");
  await page.keyboard.press("Tab");
  await page.keyboard.type("quiet lanterns drift north");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "My records" }).waitFor();
  const reach = async (name) => {
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(() => document.activeElement.textContent) === name) return page.keyboard.press("Enter");
    }
    throw new Error("the Tab key does not reach " + name);
  };
  await reach("Write a record");
  await page.getByRole("heading", { name: "New record" }).waitFor();
  await page.keyboard.type("By keyboard");
  await page.keyboard.press("Tab");
  await page.keyboard.type("All of it.");
  await reach("Save the record");
  await page.getByRole("heading", { name: "By keyboard" }).waitFor();
  await leave(page);
}

const hostile = `"><img src=//evil.example/x onerror=alert(1)><script>alert(2)</script><a href="javascript:alert(3)">x</a>\${alert(4)}{{5*5}}</textarea>`;

export async function hostileTextInEveryField({ browser, service }) {
  const admin = await service.client("admin"), secret = "quiet lanterns drift north";
  const user = (username) => ({ username, password: secret, first_name: hostile.slice(0, 150), last_name: hostile.slice(0, 150) });
  const doctor = await admin("POST", "/api/doctors/", { user: user("mallory.d"), specialization: hostile.slice(0, 100), license_number: hostile.slice(0, 50) });
  const patient = await admin("POST", "/api/patients/", { user: user("mallory.p"), phone_number: `"><img src=x>`, address: hostile, doctors: [doctor.id] });
  const page = await visit(browser, service, "mallory.p");
  await open(page, "#/records/new");
  await page.getByLabel("Title").fill(hostile);
  await page.getByLabel("What happened").fill(hostile);
  await page.getByRole("button", { name: "Save the record" }).click();
  await page.getByRole("heading", { name: hostile }).waitFor();
  const record = await page.evaluate(() => location.hash.split("/").at(-1));
  const doc = await service.client("mallory.d");
  const note = await doc("POST", "/api/doctor-notes/", { health_record: record, note: hostile });
  await doc("PATCH", `/api/doctor-notes/${note.id}/`, { note: hostile + " again" });

  const shown = async (tab, ...addresses) => {
    for (const address of addresses) {
      await open(tab, address);
      assert.ok((await tab.locator("body").evaluate((body) => [body.innerText, ...[...body.querySelectorAll("input, textarea")].map((n) => n.value)].join("\n"))).includes("<img src="), address + " shows the text");
      assert.equal(await tab.locator("main img, main script").count(), 0, address);
    }
  };
  await shown(page, "#/", `#/records/${record}`, `#/records/${record}/edit`, `#/records/${record}/versions`, `#/notes/${note.id}/versions`, "#/doctors", "#/accesses", "#/account", "#/?search=" + encodeURIComponent(hostile.slice(0, 100)));
  await leave(page);
  const treating = await visit(browser, service, "mallory.d");
  await shown(treating, "#/?days=7", "#/patients", "#/patients/" + patient.id, `#/records/${record}`, `#/patients/${patient.id}/new`, "#/account");
  await leave(treating);
  const staff = await visit(browser, service, "admin");
  await shown(staff, "#/patients", "#/patients/" + patient.id, `#/patients/${patient.id}/accesses`, "#/doctors", "#/doctors/" + doctor.id);
  await leave(staff);

  const door = await visit(browser, service);
  for (const address of ["#/password-reset/", "#/invitation/"]) {
    await door.goto(service.base + "/" + address + encodeURIComponent(hostile));
    await door.locator("form").waitFor();
  }
  await leave(door);
}

export async function theApiDescribed({ browser, service }) {
  const page = await visit(browser, service, "margaret");
  await settled(page);
  await page.goto(service.base + "/api/docs/");
  await page.getByRole("heading", { name: "The API" }).waitFor();
  const one = page.locator("details.operation").filter({ hasText: "Read who I am" });
  await one.locator("summary").first().click();
  await one.getByText("Try it").click();
  await one.getByRole("button", { name: "Send" }).click();
  await one.locator("pre").getByText('"role": "patient"').waitFor();
  const write = page.locator("details.operation").filter({ hasText: "Write a health record" });
  await write.locator("summary").first().click();
  await write.getByText("Try it").click();
  await write.getByLabel("Body").fill('{"title":"Tried","description":"From the page."}');
  await write.getByRole("button", { name: "Send" }).click();
  await write.getByText("201").last().waitFor();
  await leave(page);
}

export async function theTokensRestNowhereElse({ browser, service }) {
  const page = await visit(browser, service, "margaret");
  await settled(page);
  const kept = await page.evaluate(() => ({ local: Object.keys(localStorage), session: Object.keys(sessionStorage), cookie: document.cookie }));
  assert.deepEqual(kept.session, ["tokens"]);
  assert.equal(kept.cookie, "");
  assert.ok(kept.local.every((name) => name === "device" || name.startsWith("seen ")), "localStorage has " + kept.local);
  assert.ok(!service.log.join("").includes("/records/"), "the log has no address of a page");
  await leave(page);
}
