// The audit trail: who looked at my record, for a patient in plain words; who
// looked at a patient, and everything, for staff.
import * as api from "../api.js";
import { known, roles, words } from "./words.js";
import { badge, empty, endOf, filters, format, fullName, h, heading, link, list, plural, startOf, time } from "../ui.js";

export function mine({ me, params }) {
  const all = params.get("all") === "1";
  return h("div", { class: "page" }, heading("Who looked"),
    h("p", null, "Everybody who saw or changed something about you, the newest first. Nothing is left out: every look leaves an entry that nobody can remove."),
    h("p", { class: "tabs" }, tab("#/accesses", "Others", !all), tab("#/accesses?all=1", "Others and myself", all)),
    accesses(me.id, (e) => all || e.actor !== me.id, empty("Nobody else has looked", "As soon as somebody does, it stands here.")));
}

const tab = (href, text, here) => h("a", { href, "aria-current": here ? "true" : null }, text);

export async function ofPatient({ args: [id] }) {
  const { body: patient } = await api.get(`/api/patients/${id}/`);
  return h("div", { class: "page" }, h("p", { class: "up" }, link("#/patients/" + id, fullName(patient.user))), heading("Who looked"),
    accesses(id, () => true, empty("Nobody has looked yet", "")));
}

/** accesses lists what touched a patient, under the days; the same done again
 * and again is one line. */
function accesses(id, wanted, none) {
  let day, last, count;
  const own = (e) => (e.actor === id ? "You" : e.actor_name || roles[e.role].replace(/^./, (c) => c.toUpperCase()));
  const said = (e) => words(e.action, e.actor !== id || !/^(record|note)\./.test(e.action));
  const row = (e) => {
    if (!wanted(e)) return null;
    const today = format(e.at, "day"), same = [today, e.actor, e.action, e.outcome, e.object].join();
    if (same === last) {
      count.n++;
      count.textContent = ` · ${plural(count.n, "time")}`;
      return null;
    }
    last = same;
    count = h("span");
    count.n = 1;
    const first = today !== day;
    day = today;
    return [first && h("li", { class: "month" }, h("h2", null, today)), h("li", null, h("div", null,
      h("p", null, h("strong", { dir: "auto" }, own(e)), e.actor_name && e.actor !== id && h("span", { class: "quiet" }, ` (${roles[e.role]})`), " ",
        e.outcome === "done" ? said(e) : ["tried and was refused: ", said(e)]),
      h("p", { class: "quiet" }, time(e.at, "time"), count, subject(e))))].filter(Boolean);
  };
  return list({ read: api.pages(`/api/patients/${id}/access-log/?page_size=100`), row, none, kind: "log" });
}

function subject({ object, action }) {
  if (!object) return null;
  if (action.startsWith("record.") && action !== "record.list") return [" · ", link("#/records/" + object, "the record")];
  if (/^note\.(read|create|change|delete|versions)$/.test(action)) return [" · ", link("#/notes/" + object + "/versions", "the note")];
  return null;
}

/** everything is the trail as staff have it: ids and actions. */
export function everything({ params }) {
  const { from, to, ...given } = Object.fromEntries(params);
  Object.assign(given, { date_after: startOf(from), date_before: endOf(to) });
  const columns = ["When", "Who", "What", "About", "Outcome", "From"];
  const body = h("tbody");
  h("table", { class: "trail" }, h("caption", { class: "hidden" }, "Entries of the audit trail"), h("thead", null, h("tr", null, columns.map((c) => h("th", { scope: "col" }, c)))), body);
  const row = (e) => h("tr", null, [
    time(e.at), [e.role, e.actor && [" ", person(e.role, e.actor)]], h("span", { title: e.action }, words(e.action), e.fields.length > 0 && h("span", { class: "quiet" }, " (" + e.fields.join(", ") + ")")),
    e.patients.length > 1 ? plural(e.patients.length, "patient") : e.patients.length === 1 ? person("patient", e.patients[0]) : e.object && h("code", { title: e.object }, e.object.slice(-6)),
    e.outcome === "done" ? "done" : badge(e.outcome, "bad"), e.address,
  ].map((cell, i) => h("td", { "data-label": columns[i] }, cell)));
  return h("div", { class: "page wide" }, heading("Audit trail"),
    h("p", null, "Every look, change, refusal and sign-in. It holds no health data and nobody can change it."),
    filters(params, { name: "action", label: "What", type: "select", options: [["", "anything"], ...known.map((a) => [a, words(a)])] },
      { name: "outcome", label: "Outcome", type: "select", options: [["", "any"], ["done", "done"], ["forbidden", "forbidden"], ["not found", "not found"], ["invalid", "invalid"]] },
      { name: "actor", label: "Who (id)", spellcheck: "false" }, { name: "patient", label: "Patient (id)", spellcheck: "false" },
      { name: "from", label: "From", type: "date" }, { name: "to", label: "To", type: "date" },
      { name: "ordering", label: "Order", type: "select", options: [["", "newest first"], ["at", "oldest first"], ["action", "by what"], ["actor", "by who"], ["outcome", "by outcome"], ["address", "by address"]] }),
    list({ read: api.pages(api.query("/api/audit-events/", given)), row, into: body, none: empty("No entries", "Nothing in the trail matches.") }));
}

/** person is an account by the end of its id, which is what differs. */
function person(role, id) {
  const place = { patient: "#/patients/", doctor: "#/doctors/", staff: "#/staff/" }[role];
  return place ? h("a", { href: place + id, title: id }, h("code", null, id.slice(-6))) : h("code", { title: id }, id.slice(-6));
}
