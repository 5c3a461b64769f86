// What pages are made of. Text is only ever set as text.
import { Ended, Offline } from "./session.js";

const attributes = new Set(("accept alt autocapitalize autocomplete autofocus class cols colspan d datetime dir download fill for height hidden href id inputmode " +
  "max maxlength method min multiple name novalidate open role rows scope size spellcheck step tabindex title type viewBox width").split(" "));
const properties = new Set(["checked", "disabled", "required", "selected", "value"]);

/** h makes an element. Attributes are those of the list above, aria-… and
 * data-…; links lead nowhere but into these pages, whatever a text says. */
export function h(name, given, ...children) {
  return fill(document.createElement(name), given, children);
}

/** svg is h for drawings. */
export const svg = (name, given, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), given, children);

function fill(node, given, children) {
  for (const [key, value] of Object.entries(given ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (properties.has(key)) node[key] = value;
    else if (key === "href" && !/^(#\/|\/$|\/api\/docs\/|blob:)/.test(value)) throw new Error("a link to elsewhere");
    else if (attributes.has(key) || /^(aria|data)-/.test(key)) node.setAttribute(key, value === true ? "" : value);
    else throw new Error("no attribute " + key);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false && c !== ""));
  return node;
}

/** say tells a screen reader, and shows for some seconds, what was done. */
export function say(text) {
  const line = document.getElementById("said");
  line.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { line.textContent = ""; }, 6000);
}

// Dates, in the reader's own format and zone.

const formats = {
  day: { dateStyle: "long" },
  short: { dateStyle: "medium" },
  moment: { dateStyle: "medium", timeStyle: "short" },
  time: { timeStyle: "short" },
  month: { month: "long", year: "numeric" },
};
for (const name in formats) formats[name] = new Intl.DateTimeFormat(undefined, formats[name]);
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeZone: "UTC" });

export const format = (instant, name = "moment") => formats[name].format(new Date(instant));
export const time = (instant, name) => h("time", { datetime: instant }, format(instant, name));
export const birthday = (date) => (date ? calendar.format(new Date(date + "T00:00:00Z")) : "");

/** age is a person's in full years, today. */
export function age(date, today = new Date()) {
  const [year, month, day] = date.split("-").map(Number);
  const before = today.getMonth() + 1 < month || (today.getMonth() + 1 === month && today.getDate() < day);
  return today.getFullYear() - year - (before ? 1 : 0);
}

/** startOf and endOf turn a day of the reader's calendar into instants. */
export const startOf = (day) => day && new Date(day + "T00:00:00").toISOString();
export const endOf = (day) => day && new Date(day + "T23:59:59.999").toISOString();

/** local is an instant as a datetime-local input has it. */
export function local(instant) {
  const at = new Date(instant);
  return new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

export const fullName = (user) => [user.first_name, user.last_name].filter(Boolean).join(" ") || user.username;
export const plural = (n, one, many = one + "s") => (n === 1 ? `1 ${one}` : `${n.toLocaleString()} ${many}`);

// Pieces.

export const heading = (text, ...beside) => h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, text), beside.length > 0 && h("div", { class: "actions" }, beside));
export const link = (href, text, kind) => h("a", { href, class: kind }, text);
export const button = (text, onclick, kind) => h("button", { type: "button", class: kind, onclick }, text);
export const badge = (text, kind = "") => h("span", { class: "badge " + kind }, text);
export const empty = (title, ...text) => h("div", { class: "empty" }, h("p", { class: "strong" }, title), h("p", null, text));
export const notice = (...text) => h("div", { class: "notice" }, text);
export const section = (title, ...content) => h("section", { class: "panel" }, h("h2", null, title), content);

/** facts shows names and values; those without a value are left out. */
export const facts = (...pairs) =>
  h("dl", { class: "facts" }, pairs.filter((pair) => pair && pair[1]).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));

/** paragraphs shows a text of several lines as it was written. */
export const paragraphs = (text, kind = "") => h("p", { class: "text " + kind, dir: "auto" }, text);

/** problem is what an error says to the reader. */
export function problem(error) {
  if (error.status === 429) return `Too many attempts. Try again in ${plural(Math.max(1, error.wait), "second")}.`;
  if (error.code === "otp_setup_required") return error.message;
  if (error.status === 403) return error.code === "registration_closed" ? "The practice makes all accounts itself. Please ask at the practice." : "You may not do this.";
  if (error.status === 404) return "This does not exist, or is not for you to see.";
  if (error.status === 409) return error.message;
  if (error.status === 503) return "The service is busy. Try again in a moment.";
  if (error.status >= 500) return "Something went wrong in the service. Nothing was changed. Try again, or tell the practice.";
  if (error.status) return error.message || "The service did not accept this.";
  if (error instanceof Ended) return "You are signed out.";
  if (error instanceof Offline) return "No connection to the service. Check the network, then try again.";
  console.error(error);
  return "Something went wrong in this page. Load it again.";
}

/** failed shows an error with a button that tries again. */
export const failed = (error, again) =>
  h("div", { class: "alert", role: "alert" }, h("p", null, problem(error)), again && error.status !== 404 && error.status !== 403 && button("Try again", again));

/** busy lets a button work once at a time, and shows the error beside it. */
export function doing(text, work, kind) {
  const node = button(text, async () => {
    node.disabled = true;
    node.parentNode.querySelector(".alert")?.remove();
    try {
      await work();
    } catch (error) {
      node.after(h("p", { class: "alert", role: "alert" }, problem(error)));
    }
    node.disabled = false;
  }, kind);
  return node;
}

/** list shows rows page by page: more come with the button, or when it is
 * scrolled to. */
export function list({ read, row, none, tag = "ul", kind = "", into }) {
  const rows = into ?? h(tag, { class: "rows " + kind });
  const foot = h("div", { class: "more" });
  const box = h("div", null, rows.closest("table") ?? rows, foot);
  const watcher = new IntersectionObserver(([seen]) => { if (seen.isIntersecting) load(); }, { rootMargin: "200px" });
  let busy = false;
  async function load() {
    if (busy) return;
    busy = true;
    watcher.disconnect();
    foot.replaceChildren(h("p", { class: "quiet" }, "Loading…"));
    try {
      const page = await read();
      const nodes = page.rows.map(row).filter(Boolean);
      rows.append(...nodes.flat());
      foot.replaceChildren();
      if (page.more) {
        const more = button("Show more", load);
        foot.append(more);
        watcher.observe(more);
      } else if (!rows.children.length) box.replaceChildren(none);
    } catch (error) {
      foot.replaceChildren(failed(error, load));
    }
    busy = false;
  }
  box.ready = load();
  return box;
}

/** filters is a form above a list; it keeps its values in the address, so that
 * they can be bookmarked. */
export function filters(values, ...fields) {
  return h("form", { class: "filters", role: "search", onsubmit(event) {
    event.preventDefault();
    const given = [...new FormData(event.target)].filter(([, value]) => value);
    const query = new URLSearchParams(given).toString();
    location.hash = location.hash.split("?")[0] + (query ? "?" + query : "");
  } }, fields.map((field) => input({ ...field, value: values.get(field.name) ?? "" })), h("button", null, "Search"));
}

let made = 0;

/** input makes a labelled control. */
export function input({ name, label, type = "text", hint, options, value = "", problem: said, half, ...more }) {
  const id = "f" + ++made;
  const common = { id, name, value, "aria-describedby": [hint && id + "h", said && id + "e"].filter(Boolean).join(" ") || null, "aria-invalid": said && "true", ...more };
  let control;
  if (type === "textarea") control = h("textarea", { rows: "6", ...common });
  else if (type === "select") {
    control = h("select", { ...common, value: undefined }, options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)));
  } else if (type === "password") control = h("input", { type, autocapitalize: "none", spellcheck: "false", ...common });
  else if (type === "checkbox") control = h("input", { ...common, type, checked: Boolean(value), value: "on" });
  else control = h("input", { type, ...common });
  const text = h("label", { for: id }, label);
  return h("div", { class: "field " + type + (half ? " half" : "") }, type === "checkbox" ? [control, text] : [text, control],
    type === "password" && reveal(control),
    hint && h("p", { class: "hint", id: id + "h" }, hint), h("p", { class: "error", id: id + "e" }, said));
}

/** reveal lets a password be read while it is typed. */
function reveal(control) {
  const node = button("Show the password", () => {
    control.type = control.type === "password" ? "text" : "password";
    node.textContent = control.type === "password" ? "Show the password" : "Hide the password";
  }, "plain");
  node.setAttribute("aria-controls", control.id);
  return node;
}
