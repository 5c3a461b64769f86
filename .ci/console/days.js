// A day of each role, from signing in to signing out.
import assert from "node:assert/strict";
import { leave, open, sees, settled, signIn, visit } from "./browser.js";
import { password } from "./service.js";

export async function aPatientsDay({ browser, service, ids }) {
  await (await service.client("admin"))("GET", "/api/doctors/");
  const page = await visit(browser, service, "margaret");
  await sees(page, "Dizzy in the morning");
  assert.equal(await page.locator("#top nav [aria-current=page]").textContent(), "My records");

  await page.getByRole("link", { name: "Write a record" }).click();
  await page.getByLabel("What happened").fill("Slept badly twice.\nNo pain.");
  await page.getByRole("button", { name: "Save the record" }).click();
  await sees(page, "Please fill this in.");
  assert.equal(await page.evaluate(() => document.activeElement.name), "title", "the focus is at the field that is wrong");
  assert.equal(await page.getByLabel("What happened").inputValue(), "Slept badly twice.\nNo pain.");
  await page.getByLabel("Title").fill("Sleep");
  await page.getByLabel("When it happened").fill("2026-01-05T07:30");
  await page.getByRole("button", { name: "Save the record" }).click();
  await page.getByRole("heading", { name: "Sleep" }).waitFor();
  await sees(page, "5 Jan 2026, 07:30");

  await page.getByRole("link", { name: "Change" }).click();
  await page.getByLabel("Title").fill("Sleep, better");
  await page.getByRole("button", { name: "Save the changes" }).click();
  await page.getByRole("heading", { name: "Sleep, better" }).waitFor();
  await sees(page, "changed");
  await page.getByRole("link", { name: "All versions" }).click();
  await sees(page, "version 1");
  assert.deepEqual(await page.locator("main h2").allTextContents(), ["Sleep, better", "Sleep"]);
  await page.goBack();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("heading", { name: "My records" }).waitFor();
  await page.goBack();
  await sees(page, "This record was deleted");
  await open(page, "#/");
  assert.equal(await page.getByText("Sleep, better").count(), 0);

  await page.getByRole("searchbox", { name: "Search" }).fill("dizz");
  await page.getByRole("searchbox", { name: "Search" }).press("Enter");
  await page.waitForFunction(() => location.hash === "#/?search=dizz");
  await settled(page);
  await page.waitForFunction(() => document.querySelectorAll(".entry").length === 2);
  await open(page, "#/?author=" + ids.henrik);
  assert.deepEqual(await page.locator(".entry h3").allTextContents(), ["Orthostatic test"]);

  await open(page, "#/doctors");
  await page.getByRole("listitem").filter({ hasText: "Dermatology" }).getByRole("button", { name: "Choose" }).click();
  await page.waitForFunction(() => document.querySelector("main ul.rows")?.children.length === 3);
  await page.locator("main ul.rows").first().getByRole("listitem").filter({ hasText: "Mei Tanaka" }).getByRole("button", { name: "Remove" }).click();
  await page.waitForFunction(() => document.querySelector("main ul.rows")?.children.length === 2);

  await open(page, "#/accesses");
  await sees(page, "wrote a note about you");
  await sees(page, "admin (the practice) saw you as a doctor's patient in the list of doctors");
  assert.equal(await page.locator(".log").getByText("You", { exact: true }).count(), 0);
  await page.getByRole("link", { name: "Others and myself" }).click();
  await page.locator(".log").getByText("You", { exact: true }).first().waitFor();

  await page.locator("#top").getByRole("button", { name: "Sign out" }).click();
  await sees(page, "You are signed out.");
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await leave(page);
}

export async function aDoctorsDay({ browser, service, ids }) {
  const page = await visit(browser, service, "ada");
  await page.getByRole("heading", { name: "What is new" }).waitFor();
  await sees(page, "Rash on the forearm");
  await sees(page, "Henrik Lund noted");

  await page.getByLabel("Find a patient").fill("hill");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "Margaret Hill" }).click();
  await page.getByRole("heading", { name: "Margaret Hill" }).waitFor();
  await sees(page, "12 March 1946 (80 years)");
  await sees(page, "Orthostatic test at the next visit.");

  const entry = page.locator(".entry").filter({ hasText: "Knee after the fall" });
  await entry.getByRole("button", { name: "Add a note" }).click();
  await entry.getByLabel("Note").fill("Full movement again.");
  await entry.getByRole("button", { name: "Save the note" }).click();
  await entry.getByText("Full movement again.").waitFor();
  await entry.getByRole("button", { name: "Change" }).click();
  await entry.getByLabel("Note").fill("Full movement again, no pain.");
  await entry.getByRole("button", { name: "Save the note" }).click();
  await entry.getByText("Full movement again, no pain.").waitFor();
  await entry.getByRole("link", { name: /^changed/ }).click();
  await page.getByRole("heading", { name: "All versions" }).waitFor();
  assert.deepEqual(await page.locator("main .text").allTextContents(), ["Full movement again, no pain.", "Full movement again."]);
  await page.goBack();
  await entry.getByRole("button", { name: "Delete" }).click();
  await entry.getByText("Note deleted.").waitFor();
  await entry.getByRole("link", { name: "What it said" }).click();
  await sees(page, "This note was deleted");

  await open(page, "#/patients/" + ids.margaret);
  await page.getByRole("link", { name: "Write a record" }).click();
  await page.getByLabel("Title").fill("Telephone call");
  await page.getByLabel("What happened").fill("Feels well. Control visit in December.");
  await page.getByRole("button", { name: "Save the record" }).click();
  await page.getByRole("heading", { name: "Telephone call" }).waitFor();
  await page.getByRole("link", { name: "Margaret Hill" }).click();
  assert.equal(await page.locator(".entry h3").first().textContent(), "Telephone call");
  await open(page, "#/?days=1");
  await leave(page);
}

export async function aNewDoctorWaits({ browser, service }) {
  const page = await visit(browser, service, "newcomer");
  await sees(page, "The practice has not yet checked who you are");
  await leave(page);
}

export async function aStaffDay({ browser, service, ids }) {
  const page = await visit(browser, service, "admin");
  await sees(page, "1 doctor waits");
  await sees(page, "There is no backup yet.");
  await sees(page, "This service sends no mail. Hand links over yourself.");
  assert.equal(await page.getByText("No mail was given up").count(), 0);
  const card = (name) => page.locator(".card").filter({ hasText: name }).locator("strong").textContent();
  assert.equal(await card("patients"), "6");
  assert.equal(await card("doctors"), "4");

  await page.getByRole("link", { name: "Look at the doctors" }).click();
  await page.getByRole("link", { name: /Noor Haddad/ }).click();
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByRole("button", { name: "Withdraw verification" }).waitFor();
  await page.getByLabel("Assign a patient").selectOption({ label: "Jonas Weber, 19 July 2001" });
  await page.getByRole("button", { name: "Assign" }).click();
  await page.getByRole("link", { name: "Jonas Weber" }).waitFor();

  await open(page, "#/patients");
  await page.getByRole("link", { name: "New patient" }).click();
  await page.getByLabel("First name").fill("Lotte");
  await page.getByLabel("User name").fill("not allowed!");
  await page.getByLabel("Password").fill("short");
  await page.getByRole("button", { name: "Make the account" }).click();
  await sees(page, "Enter a valid username.");
  await page.getByLabel("User name").fill("lotte");
  await page.getByRole("button", { name: "Make the account" }).click();
  await sees(page, "This password is too short.");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.getByRole("heading", { name: "Lotte" }).waitFor();

  await page.getByRole("button", { name: "Switch off" }).click();
  await sees(page, "The account is off");
  await page.getByRole("button", { name: "Switch on" }).click();
  await sees(page, "The account is on");
  await page.getByRole("link", { name: "Who looked" }).click();
  await sees(page, "made your account");
  await page.goBack();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("heading", { name: "Patients" }).waitFor();

  await open(page, "#/staff");
  await page.getByRole("link", { name: "New staff account" }).click();
  await page.getByLabel("User name").fill("reception");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.getByRole("heading", { name: "reception" }).waitFor();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("heading", { name: "Staff" }).waitFor();
  await page.locator("main").getByRole("link", { name: "admin" }).click();
  await page.getByRole("button", { name: "Switch off" }).click();
  await sees(page, "The last active staff account stays.");

  await open(page, "#/trail");
  await page.getByLabel("What", { exact: true }).selectOption("note.create");
  await page.getByLabel("Patient (id)").fill(ids.margaret);
  await page.getByRole("button", { name: "Search" }).click();
  await page.waitForFunction(() => location.hash.includes("note.create"));
  await settled(page);
  const what = await page.locator("tbody td[data-label=What]").allTextContents();
  assert.ok(what.length >= 4 && what.every((text) => text === "wrote a note"), "the trail shows " + what);
  await open(page, "#/trail?outcome=forbidden");
  await leave(page);
}

export async function anInvitation({ browser, service }) {
  const staff = await visit(browser, service, "admin");
  await open(staff, "#/invite/doctor");
  await staff.getByLabel("E-mail address").fill("vera@example.org");
  await staff.getByLabel("First name").fill("Vera");
  await staff.getByLabel("Last name").fill("Stone");
  await staff.getByRole("button", { name: "Invite" }).click();
  const address = await staff.locator(".notice .code").textContent();
  await open(staff, "#/invitations");
  await sees(staff, "Vera Stone");
  await staff.getByRole("button", { name: "Send again" }).click();
  const second = await staff.locator(".notice .code").textContent();
  assert.notEqual(second, address);
  await leave(staff);

  const page = await visit(browser, service);
  await page.goto(address);
  await page.getByLabel("User name").fill("vera");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Begin" }).click();
  await sees(page, "This link has expired or was used.");
  await page.goto(second);
  await page.getByLabel("User name").fill("ada");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Begin" }).click();
  await sees(page, "already exists");
  await page.getByLabel("User name").fill("vera");
  await page.getByRole("button", { name: "Begin" }).click();
  await page.getByRole("heading", { name: "What is new" }).waitFor();
  await leave(page);
}
