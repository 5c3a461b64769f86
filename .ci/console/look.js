import { chromium } from "playwright-core";
import { start } from "./service.js";
import { settle } from "./practice.js";
import { mkdirSync } from "node:fs";
const [binary, out] = process.argv.slice(2);
const service = await start(binary);
const ids = await settle(service);
mkdirSync(out, { recursive: true });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
const pages = { margaret: ["#/", "#/records/" + ids.dizzy, "#/records/new", "#/doctors", "#/accesses", "#/account"], ada: ["#/", "#/patients", "#/patients/" + ids.margaret, "#/account"], admin: ["#/", "#/patients", "#/patients/" + ids.margaret, "#/doctors", "#/invitations", "#/trail", "#/new/patient", "#/invite/doctor"] };
for (const [w, theme] of [[1280, "light"], [360, "dark"]]) {
  for (const [who, list] of Object.entries(pages)) {
    const context = await browser.newContext({ viewport: { width: w, height: 900 }, colorScheme: theme, locale: "en-GB", timezoneId: "Europe/Lisbon" });
    if (process.env.OLD) await context.route("**/api/token/", (route) => { const b = JSON.parse(route.request().postData()); delete b.device; route.continue({ postData: JSON.stringify(b) }); });
    const page = await context.newPage();
    page.on("console", (m) => ["error", "warning"].includes(m.type()) && console.log(who, m.text()));
    page.on("pageerror", (e) => console.log(who, e.stack));
    await page.goto(service.base + "/");
    await page.waitForSelector("form");
    if (who === "ada") await page.screenshot({ path: `${out}/door-${w}.png`, fullPage: true });
    await page.fill("[name=username]", who); await page.fill("[name=password]", "quiet lanterns drift north");
    await page.click("text=Sign in >> nth=-1");
    await page.waitForSelector("#top nav", { state: "attached" });
    let i = 0;
    for (const hash of list) {
      await page.goto(service.base + "/" + hash);
      await page.waitForTimeout(500);
      await page.screenshot({ path: `${out}/${who}-${i++}-${w}.png`, fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > w) console.log("overflow", who, hash, wide);
    }
    await context.close();
  }
}
await browser.close();
await service.stop();
