// The console: which page an address shows, who is signed in, and what happens
// when the session ends. An address is #/…, so that nothing of it reaches the
// server or its log.
import * as api from "./api.js";
import * as session from "./session.js";
import { button, failed, fullName, h, link, notice } from "./ui.js";
import { dirty } from "./form.js";
import * as account from "./pages/account.js";
import * as door from "./pages/door.js";
import * as patient from "./pages/patient.js";
import * as doctor from "./pages/doctor.js";
import * as people from "./pages/people.js";
import * as practice from "./pages/practice.js";
import * as records from "./pages/records.js";
import * as trail from "./pages/trail.js";

const idleMinutes = 15;

// An address, who has it, and the page; {} stands for an id or a token.
const routes = [
  ["/register", "nobody", door.register],
  ["/password-reset", "nobody", door.askReset],
  ["/password-reset/{}", "nobody", door.reset],
  ["/invitation/{}", "nobody", door.accept],

  ["/", "patient", patient.timeline],
  ["/doctors", "patient", patient.doctors],
  ["/accesses", "patient", trail.mine],
  ["/records/new", "patient", records.write],

  ["/", "doctor", doctor.news],
  ["/patients", "doctor", doctor.patients],
  ["/patients/{}", "doctor", doctor.chart],
  ["/patients/{}/new", "doctor", records.write],

  ["/records/{}", "patient doctor", records.show],
  ["/records/{}/edit", "patient doctor", records.change],
  ["/records/{}/versions", "patient doctor", records.versions],
  ["/notes/{}/versions", "doctor patient", records.noteVersions],

  ["/", "staff", practice.overview],
  ["/patients", "staff", people.patients],
  ["/patients/{}", "staff", people.patient],
  ["/patients/{}/accesses", "staff", trail.ofPatient],
  ["/doctors", "staff", people.doctors],
  ["/doctors/{}", "staff", people.doctor],
  ["/staff", "staff", people.staff],
  ["/staff/{}", "staff", people.colleague],
  ["/new/{}", "staff", people.create],
  ["/invitations", "staff", practice.invitations],
  ["/invite/{}", "staff", practice.invite],
  ["/trail", "staff", trail.everything],

  ["/account", "patient doctor staff", account.overview],
  ["/account/code", "patient doctor staff", account.code],
].map(([path, roles, page]) => ({ pattern: new RegExp("^" + path.replaceAll("{}", "([^/]+)") + "$"), roles: roles.split(" "), page }));

const menus = {
  patient: [["#/", "My records"], ["#/doctors", "My doctors"], ["#/accesses", "Who looked"]],
  doctor: [["#/", "What is new"], ["#/patients", "Patients"]],
  staff: [["#/", "Practice"], ["#/patients", "Patients"], ["#/doctors", "Doctors"], ["#/staff", "Staff"], ["#/invitations", "Invitations"], ["#/trail", "Audit trail"]],
};

const main = document.getElementById("main");
let me = null; // of /api/me/
let turn = 0; // counts pages, so that a slow one does not replace a later one
let kept = null; // a page with something typed, while its reader is signed out
let here = null; // the address of the page that is all there
let waiting = []; // requests that wait until the reader has signed in again
const places = new Map(); // how far each address was scrolled

/** go shows another address, or the same anew. */
export function go(address) {
  if (location.hash === address) render();
  else location.hash = address;
}

async function render() {
  const mine = ++turn, [path, search] = (location.hash.slice(1) || "/").split("?");
  const found = (role) => routes.find((r) => r.roles.includes(role) && r.pattern.test(path));
  here = null;
  main.setAttribute("aria-busy", "true");
  let route = found("nobody");
  if (!route && !session.signedIn()) return showDoor();
  const slow = setTimeout(() => mine === turn && main.replaceChildren(h("p", { class: "quiet" }, "Loading…")), 300);
  try {
    if (!route) {
      me ??= (await api.get("/api/me/")).body;
      route = found(me.role);
    }
    const args = route?.pattern.exec(path).slice(1).map(decodeURIComponent);
    const node = route ? await route.page({ me, args, params: new URLSearchParams(search), go, enter }) : nowhere();
    if (mine === turn) show(node, route?.roles[0] === "nobody");
  } catch (error) {
    if (mine === turn && !(error instanceof session.Ended)) show(failed(error, render));
  } finally {
    clearTimeout(slow);
  }
}

const nowhere = () => h("div", null, h("h1", null, "There is no such page"), h("p", null, link("#/", "Go to the first page")));

function show(node, outside = false) {
  header(outside);
  main.replaceChildren(node);
  const title = main.querySelector("h1");
  document.title = (title ? title.textContent + " · " : "") + "Health records";
  const ready = [...main.querySelectorAll("*")].map((n) => n.ready).filter(Boolean);
  const address = location.hash, place = history.state?.seen ? places.get(address) ?? 0 : 0;
  history.replaceState({ seen: true }, "");
  Promise.all(ready).then(() => {
    if (address !== location.hash) return;
    scrollTo(0, place);
    here = address;
    main.removeAttribute("aria-busy");
  });
  (main.querySelector("[autofocus]") ?? title ?? main).focus({ preventScroll: true });
}

function header(outside) {
  const brand = link("#/", "Health records", "brand");
  const top = document.getElementById("top");
  if (outside || !me) return top.replaceChildren(brand);
  const now = location.hash.split("?")[0] || "#/";
  const entry = ([address, text]) => h("a", { href: address, "aria-current": now === address || (address !== "#/" && now.startsWith(address + "/")) ? "page" : null }, text);
  const toggle = h("button", { type: "button", class: "menu", "aria-expanded": "false", "aria-controls": "nav", onclick() {
    toggle.setAttribute("aria-expanded", String(nav.classList.toggle("open")));
  } }, "Menu");
  const nav = h("nav", { id: "nav", "aria-label": "Pages" }, menus[me.role].map(entry), h("span", { class: "own" }, entry(["#/account", fullName(me.user)]), button("Sign out", signOut)));
  top.replaceChildren(brand, toggle, nav);
}

function showDoor(reason) {
  turn++;
  me = null;
  show(door.signIn({ enter, reason: reason && notice(reason) }), true);
}

/** enter goes on with a session that has just begun. */
async function enter(tokens) {
  session.keep(tokens);
  me = (await api.get("/api/me/")).body;
  const same = kept?.account === me.id;
  for (const { resolve, reject } of waiting) same ? resolve() : reject(new session.Ended());
  waiting = [];
  if (same) {
    history.replaceState(null, "", kept.address);
    turn++;
    header();
    main.replaceChildren(...kept.nodes);
    main.removeAttribute("aria-busy");
    kept.focus.focus();
  } else if (/^#\/(register|password-reset|invitation)/.test(location.hash)) go("#/");
  else render();
  kept = null;
}

/** over clears the page when the session has ended. What was typed is kept in
 * memory for the same person. */
function over(reason) {
  const again = new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  again.catch(() => {}); // not everybody waits
  if (!me) return again;
  session.forget();
  if (dirty()) kept = { account: me.id, address: location.hash, nodes: [...main.childNodes], focus: document.activeElement };
  showDoor(reason + (kept ? " What you wrote is kept: sign in to go on." : ""));
  return again;
}

async function signOut() {
  if (dirty() && !confirm("What you wrote is not saved. Sign out all the same?")) return;
  await leave();
  history.replaceState(null, "", "#/");
  showDoor("You are signed out.");
}

async function leave() {
  main.replaceChildren();
  await session.end();
}

let used = Date.now(), told = 0;

/** idle signs out when nobody has done anything for a while. */
function idle() {
  if (!me || Date.now() - used < idleMinutes * 60000) return false;
  session.end();
  over(`You were signed out because nothing was done for ${idleMinutes} minutes.`);
  return true;
}

function active() {
  if (idle()) return;
  used = Date.now();
  if (used - told > 10000 && session.signedIn()) {
    told = used;
    session.use();
  }
}

for (const kind of ["pointerdown", "keydown", "wheel", "touchmove"]) addEventListener(kind, active, { passive: true, capture: true });
document.addEventListener("visibilitychange", idle);
setInterval(idle, 5000);

addEventListener("hashchange", ({ oldURL }) => {
  if (dirty() && !confirm("What you wrote is not saved. Leave this page?")) history.pushState({ seen: true }, "", oldURL);
  else render();
});
addEventListener("scroll", () => { if (here === location.hash) places.set(here, scrollY); }, { passive: true });
addEventListener("beforeunload", (event) => { if (dirty() || kept) event.preventDefault(); });

api.onEnd(() => over("Your session has ended."));
session.listen({ ended: () => over("You have signed out in another tab."), used: () => { used = Date.now(); } });
history.scrollRestoration = "manual";
if (!session.signedIn()) await session.join();
render();
