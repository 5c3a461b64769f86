// The way in and the own account: what everybody does.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import jsQR from "jsqr";
import { leave, open, sees, settled, signIn, visit } from "./browser.js";
import { password, start } from "./service.js";

export async function registering({ browser, service }) {
  const page = await visit(browser, service);
  await page.getByRole("link", { name: "New here? Register" }).click();
  await sees(page, "At least 15 characters.");
  await sees(page, "Without one, nothing can be sent to you");
  await page.getByLabel("First name").fill("Rosa");
  await page.getByLabel("User name").fill("ada");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Show the password" }).click();
  assert.equal(await page.getByLabel("Password").getAttribute("type"), "text");
  await page.getByRole("button", { name: "Hide the password" }).click();
  assert.equal(await page.getByLabel("Password").getAttribute("type"), "password");
  await page.getByLabel("Date of birth").fill("1990-02-03");
  await page.getByRole("button", { name: "Register" }).click();
  await sees(page, "A user with that username already exists.");
  assert.equal(await page.getByLabel("Date of birth").inputValue(), "1990-02-03");
  await page.getByLabel("User name").fill("rosa");
  await page.getByRole("button", { name: "Register" }).click();
  await sees(page, "Nothing here yet");
  await sees(page, "No doctor can read your records yet.");
  await leave(page);
}

export async function registrationIsClosed({ browser, binary }) {
  const service = await start(binary, { REGISTRATION: "closed" });
  const page = await visit(browser, service);
  await page.getByRole("link", { name: "New here? Register" }).click();
  await sees(page, "You cannot register here yourself");
  await leave(page);
  await service.stop();
}

export async function aNewPractice({ browser, binary }) {
  const service = await start(binary, { EMAIL_HOST: "localhost", EMAIL_PORT: "1", EMAIL_USE_TLS: "false", DEFAULT_FROM_EMAIL: "practice@example.org" });
  await (await service.client())("POST", "/api/patients/", { user: { username: "jonas", password } });
  const patient = await visit(browser, service, "jonas");
  await open(patient, "#/doctors");
  await sees(patient, "No doctor to choose yet");
  await open(patient, "#/doctors?search=lund");
  await sees(patient, "No doctor found");
  await leave(patient);
  const staff = await visit(browser, service, "admin");
  await sees(staff, "No mail was given up in the last 30 days.");
  assert.equal(await staff.getByText("This service sends no mail.").count(), 0);
  await leave(staff);
  await service.stop();
}

export async function aWrongPassword({ browser, service }) {
  const page = await visit(browser, service);
  await page.getByLabel("User name").fill("margaret");
  await page.getByLabel("Password").fill("wrong");
  await page.keyboard.press("Enter");
  await sees(page, "User name and password do not match.");
  assert.equal(await page.getByLabel("User name").inputValue(), "margaret");
  await leave(page);
}

export async function aForgottenPassword({ browser, service }) {
  const page = await visit(browser, service);
  await page.getByRole("link", { name: "Forgotten your password?" }).click();
  await page.getByLabel("User name or e-mail address").fill("tomasz@example.org");
  await page.getByRole("button", { name: "Ask for a link" }).click();
  await sees(page, "If there is such an account");

  const said = service.command("user", "reset-password", "tomasz");
  const token = said.trim().split("/").at(-1);
  await page.goto(service.base + "/#/password-reset/" + token);
  await page.getByLabel("Password").fill("short");
  await page.getByRole("button", { name: "Set the password" }).click();
  await sees(page, "This password is too short.");
  await page.getByLabel("Password").fill("nine lazy rivers of tin");
  await page.getByRole("button", { name: "Set the password" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await signIn(page, "tomasz", "nine lazy rivers of tin");
  await settled(page);
  await page.goto(service.base + "/#/password-reset/" + token);
  await page.getByLabel("Password").fill("nine lazy rivers of tin");
  await page.getByRole("button", { name: "Set the password" }).click();
  await sees(page, "This link has expired or was used.");
  await leave(page);
}

export async function theOwnAccount({ browser, service }) {
  const page = await visit(browser, service, "priya"), other = await visit(browser, service, "priya");
  await open(page, "#/account");
  await page.getByLabel("Telephone").fill("x".repeat(16));
  await page.getByRole("button", { name: "Save the profile" }).click();
  await sees(page, "no more than 15 characters");
  await page.getByLabel("Telephone").fill("+1 555 0100");
  await page.getByLabel("E-mail address").fill("priya.raman@example.org");
  await page.getByRole("button", { name: "Save the profile" }).click();
  await page.locator("[name='user.current_password'][aria-invalid=true]").waitFor();
  await page.locator("[name='user.current_password']").fill(password);
  await page.getByRole("button", { name: "Save the profile" }).click();
  await page.locator("#said").getByText("The profile is saved.").waitFor();
  await settled(page);
  assert.equal(await page.getByLabel("E-mail address").inputValue(), "priya.raman@example.org");

  assert.equal(await page.getByText("Chrome on Linux").count(), 2);
  await page.getByRole("button", { name: "Sign out everywhere else" }).click();
  await page.waitForFunction(() => [...document.querySelectorAll("main .strong")].filter((n) => n.textContent.includes("Chrome")).length === 1);
  await other.getByRole("link", { name: "My doctors" }).click();
  await sees(other, "Your session has ended.");

  await page.locator("[name=current_password]").fill("wrong");
  await page.locator("[name=new_password]").fill("nine lazy rivers of tin");
  await page.getByRole("button", { name: "Change the password" }).click();
  await sees(page, "The password is not correct.");
  await page.locator("[name=current_password]").fill(password);
  await page.getByRole("button", { name: "Change the password" }).click();
  await page.locator("#said").getByText("The password is changed.").waitFor();
  await leave(other);
  await leave(page);
}

/** totp is RFC 6238 with the usual values. */
function totp(secret, step) {
  const bits = [...secret].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", key).update(counter).digest(), at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1e6).padStart(6, "0");
}

/** scan reads the QR code as a telephone would: from its squares alone. */
async function scan(page) {
  const { size, dark } = await page.locator(".qr").evaluate((svg) => ({
    size: svg.viewBox.baseVal.width, dark: [...svg.querySelector(".ink").getAttribute("d").matchAll(/M(\d+) (\d+)/g)].map((m) => [Number(m[1]), Number(m[2])]),
  }));
  const scale = 4, side = size * scale, pixels = new Uint8ClampedArray(side * side * 4).fill(255);
  for (const [x, y] of dark) for (let i = 0; i < scale; i++) for (let j = 0; j < scale; j++) pixels.fill(0, ((y * scale + i) * side + x * scale + j) * 4, ((y * scale + i) * side + x * scale + j) * 4 + 3);
  return jsQR(pixels, side, side)?.data;
}

export async function aOneTimeCode({ browser, service }) {
  const page = await visit(browser, service, "samuel");
  await open(page, "#/account");
  await page.getByRole("link", { name: "Set it up" }).click();
  await page.locator(".qr").waitFor();
  const address = await scan(page), secret = (await page.locator(".steps .code").textContent()).replaceAll(" ", "");
  assert.ok(address?.startsWith("otpauth://totp/"), "the QR code reads " + address);
  assert.equal(new URL(address).searchParams.get("secret"), secret);

  await page.getByLabel("Type the six digits").fill("000000");
  await page.getByRole("button", { name: "Turn it on" }).click();
  await sees(page, "The one-time code is not right.");
  const step = Math.floor(Date.now() / 30000);
  await page.getByLabel("Type the six digits").fill(totp(secret, step));
  await page.getByRole("button", { name: "Turn it on" }).click();
  await page.getByRole("heading", { name: "Your recovery codes" }).waitFor();
  const codes = await page.locator("ul.code li").allTextContents();
  assert.equal(codes.length, 10);
  await page.getByRole("link", { name: "I have them" }).click();
  await sees(page, "10 of 10 recovery codes are left");

  await page.locator("#top").getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("User name").fill("samuel");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("One-time code").fill("000000");
  await page.getByRole("button", { name: "Sign in" }).click();
  await sees(page, "This code is not right");
  await page.getByLabel("One-time code").fill(totp(secret, step + 1));
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "My records" }).waitFor();

  await page.locator("#top").getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("User name").fill("samuel");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Use a recovery code instead" }).click();
  await page.getByLabel("Recovery code").fill(codes[0]);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "My records" }).waitFor();
  await open(page, "#/account/code");
  await page.getByLabel("Password").fill(password);
  await page.getByLabel("One-time code or recovery code").fill(codes[1]);
  await page.getByRole("button", { name: "Turn it off" }).click();
  await page.getByRole("link", { name: "Set it up" }).waitFor();
  await leave(page);
}

export async function aCodeThatIsRequired({ browser, binary }) {
  let service = await start(binary, { REQUIRE_OTP: "patient,doctor" });
  const admin = await service.client("admin");
  await admin("POST", "/api/doctors/", { user: { username: "ada", password } });
  await admin("POST", "/api/patients/", { user: { username: "jonas", password } });
  await allLeadsToTheCode(browser, service, "ada", 3);
  await allLeadsToTheCode(browser, service, "jonas", 4);
  await service.stop();
  service = await start(binary, { REQUIRE_OTP: "staff" });
  await allLeadsToTheCode(browser, service, "admin", 7);
  await service.stop();
}

/** allLeadsToTheCode follows every entry of the menu. */
async function allLeadsToTheCode(browser, service, who, entries) {
  const page = await visit(browser, service, who), menu = page.locator("#top nav a");
  await page.locator(".qr").waitFor();
  assert.equal(await menu.count(), entries, who);
  for (let i = 0; i < entries; i++) {
    await page.locator("main").evaluate((main) => main.replaceChildren());
    await menu.nth(i).click();
    await page.locator(".qr").waitFor();
    await sees(page, "The practice asks for a one-time code before you go on.");
  }
  await leave(page);
}
