// Every page, on a telephone and a desk, by day and by night: nothing that a
// screen reader or a colour-blind reader stumbles over, nothing wider than the
// screen, and a picture of each to look at.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { leave, open, settled, visit } from "./browser.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const pages = (ids) => ({
  "": { door: "#/", register: "#/register", "register-doctor": "#/register?as=doctor", forgotten: "#/password-reset", reset: "#/password-reset/x", invitation: "#/invitation/x" },
  margaret: {
    records: "#/", filtered: "#/?search=nothing&from=2026-01-01", record: `#/records/${ids.dizzy}`, "record-new": "#/records/new", "record-edit": `#/records/${ids.dizzy}/edit`,
    versions: `#/records/${ids.dizzy}/versions`, doctors: "#/doctors", accesses: "#/accesses?all=1", account: "#/account", code: "#/account/code", missing: "#/nothing",
  },
  jonas: { empty: "#/" },
  ada: { news: "#/?days=7", patients: "#/patients", chart: `#/patients/${ids.margaret}`, "chart-new": `#/patients/${ids.margaret}/new`, "doctor-record": `#/records/${ids.dizzy}`, "doctor-account": "#/account" },
  newcomer: { unverified: "#/" },
  admin: {
    practice: "#/", "staff-patients": "#/patients", "staff-patient": `#/patients/${ids.margaret}`, "patient-accesses": `#/patients/${ids.margaret}/accesses`, "staff-doctors": "#/doctors", "staff-doctor": `#/doctors/${ids.ada}`,
    staff: "#/staff", "new-patient": "#/new/patient", "new-staff": "#/new/staff", invitations: "#/invitations", invite: "#/invite/doctor", trail: "#/trail",
  },
});

export async function everyPage({ browser, service, ids, shots }) {
  const admin = await service.client("admin");
  await admin("POST", "/api/invitations/", { role: "patient", email: "lou@example.org", first_name: "Lou", last_name: "Berg" });
  const wrong = [];
  for (const [who, addresses] of Object.entries(pages(ids))) {
    for (const [width, theme] of [[1280, "light"], [360, "dark"]]) {
      const page = await visit(browser, service, who || undefined, { width, theme });
      for (const [name, address] of Object.entries(addresses)) {
        await open(page, address);
        wrong.push(...await judge(page, `${name}-${width}-${theme}`, shots));
      }
      if (who === "margaret") {
        await page.goto(service.base + "/api/docs/");
        await settled(page);
        await page.locator("details.operation > summary").nth(3).click();
        wrong.push(...await judge(page, `docs-${width}-${theme}`, shots));
      }
      await leave(page);
    }
  }
  assert.deepEqual(wrong, []);
}

/** judge returns what is wrong with the page as it stands. */
async function judge(page, name, shots) {
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
  return [wide > 0 && `${name} is ${wide} pixels too wide`, ...violations.filter((v) => ["serious", "critical", "moderate"].includes(v.impact)).map((v) => `${name}: ${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160) + " " + n.failureSummary).join(" | ").slice(0, 600)}`)].filter(Boolean);
}

/** onPaper has no menus and no buttons. */
export async function onPaper({ browser, service, ids, shots }) {
  const page = await visit(browser, service, "ada");
  await open(page, "#/patients/" + ids.margaret);
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.locator("#top").isVisible(), false);
  assert.equal(await page.getByRole("button").count(), 0);
  await page.screenshot({ path: `${shots}/paper.png`, fullPage: true });
  await leave(page);
}

/** forTheReadme takes the two pictures that README shows. */
export async function forTheReadme({ browser, service, ids, shots }) {
  for (const [name, who, address] of [["patient", "margaret", "#/"], ["doctor", "ada", "#/patients/" + ids.margaret]]) {
    const page = await visit(browser, service, who);
    await page.setViewportSize({ width: 1120, height: 860 });
    await open(page, address);
    await page.screenshot({ path: `${shots}/readme-${name}.png` });
    await leave(page);
  }
}
