// The console, tested in a real browser: node test.js BINARY DIRECTORY-FOR-SCREENSHOTS [NAME]
import { mkdirSync } from "node:fs";
import { launch } from "./browser.js";
import { settle } from "./practice.js";
import { start } from "./service.js";
import * as days from "./days.js";
import * as doors from "./doors.js";
import * as habits from "./habits.js";
import * as looks from "./looks.js";

const [binary, shots, only] = process.argv.slice(2);
mkdirSync(shots, { recursive: true });
const browser = await launch();
let failed = 0;

for (const group of [days, doors, habits, looks]) {
  const tests = Object.entries(group).filter(([name]) => name !== "settings" && (!only || name === only));
  if (!tests.length) continue;
  const service = await start(binary, group.settings);
  const ids = await settle(service);
  for (const [name, run] of tests) {
    const began = Date.now();
    try {
      await run({ browser, service, ids, shots, binary });
      console.log(`ok    ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed++;
      console.log(`FAIL  ${name}\n${error.stack}`);
      for (const context of browser.contexts()) {
        for (const page of context.pages()) await page.screenshot({ path: `${shots}/failed-${name}.png`, fullPage: true }).catch(() => {});
        for (const page of context.pages()) if (page.wrong?.length) console.log("in the page: " + page.wrong.join("\n"));
        await context.close().catch(() => {});
      }
    }
  }
  await service.stop();
}
await browser.close();
process.exit(failed ? 1 : 0);
