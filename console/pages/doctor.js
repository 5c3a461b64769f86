// What a doctor sees: what is new, the patients, one patient's chart.
import * as api from "../api.js";
import * as session from "../session.js";
import { timeline } from "./records.js";
import { age, birthday, empty, facts, filters, format, fullName, h, heading, link, list, paragraphs, plural, time } from "../ui.js";

const born = (date) => date && `${birthday(date)} (${plural(age(date), "year")})`;

/** since is when this doctor was last here before this session, on this device.
 * Ids and instants are all that is kept of it. */
function since(me) {
  const key = "seen " + me.id, seen = JSON.parse(localStorage.getItem(key)) ?? { at: daysAgo(7) };
  const last = seen.session === session.id() ? seen.last : seen.at;
  localStorage.setItem(key, JSON.stringify({ session: session.id(), last, at: daysAgo(0) }));
  return last;
}

const daysAgo = (n) => new Date(Date.now() - n * 864e5).toISOString();

const periods = [["", "your last visit here"], ["1", "yesterday"], ["7", "a week ago"], ["30", "a month ago"]];

export function news({ me, params }) {
  if (!me.verified) {
    return h("div", { class: "page" }, heading("Welcome"), empty("The practice has not yet checked who you are",
      "Until then you can see no patients. Look after your profile under your name above, and ask the practice if it takes long."));
  }
  const days = params.get("days") ?? "", after = days ? daysAgo(days) : since(me);
  const row = ({ at, record, patient, who, role, text, what }) => h("li", { class: "entry " + role }, h("article", null,
    h("p", { class: "when" }, time(at), " · ", who, " ", what),
    h("h2", { dir: "auto" }, patient && [link("#/patients/" + record.patient, fullName(patient.user)), " · "], link("#/records/" + record.id, record.title)),
    paragraphs(text, "brief")));
  return h("div", { class: "page" }, heading("What is new"),
    h("form", { class: "filters find", role: "search", onsubmit(event) {
      event.preventDefault();
      location.hash = "#/patients?" + new URLSearchParams(new FormData(event.target));
    } }, h("div", { class: "field" }, h("label", { for: "find" }, "Find a patient"), h("input", { id: "find", name: "search", type: "search", autofocus: true })), h("button", { class: "main" }, "Find")),
    h("p", { class: "tabs" }, h("span", null, "Since"), periods.map(([key, text]) =>
      h("a", { href: key ? "#/?days=" + key : "#/", "aria-current": key === days ? "true" : null }, text))),
    list({
      read: events(me, after), row, tag: "ol", kind: "timeline",
      none: empty("Nothing new", `Nobody has written anything since ${format(after)}. `, link("#/patients", "Show your patients")),
    }));
}

/** events reads what others wrote or changed after an instant, as list wants
 * it: each time the next page of records and the next of notes. A page that
 * came before something failed is kept for the next try. */
function events(me, after) {
  const sources = ["/api/health-records/", "/api/doctor-notes/"].map((path) => ({ read: api.pages(api.query(path, { updated_after: after })), page: null }));
  const records = {};
  let patients;
  return async () => {
    patients ??= Object.fromEntries((await api.all("/api/patients/")).map((p) => [p.id, p]));
    await Promise.all(sources.map(async (source) => { source.page ??= await source.read(); }));
    const [written, noted] = sources.map((source) => source.page.rows);
    for (const record of written) records[record.id] = record;
    const others = noted.filter((n) => n.doctor !== me.id), missing = new Set(others.map((n) => n.health_record).filter((id) => !records[id]));
    await Promise.all([...missing].map(async (id) => { records[id] = (await api.get(`/api/health-records/${id}/`)).body; }));
    for (const source of sources) source.page = source.page.more ? null : { rows: [] };
    const rows = [
      ...written.filter((r) => r.author.id !== me.id).map((r) => ({ at: r.updated_at, record: r, who: r.author.name, role: r.author.role, text: r.description, what: r.created_at === r.updated_at ? "wrote" : "changed" })),
      ...others.map((n) => ({ at: n.updated_at, record: records[n.health_record], who: n.doctor_name, role: "doctor", text: n.note, what: "noted" })),
    ].map((event) => ({ ...event, patient: patients[event.record.patient] }));
    return { rows: rows.sort((a, b) => (a.at < b.at ? 1 : -1)), more: sources.some((source) => !source.page) };
  };
}

export function patients({ params }) {
  const row = (p) => h("li", null, h("a", { class: "whole", href: "#/patients/" + p.id },
    h("span", { class: "strong", dir: "auto" }, fullName(p.user)), h("span", { class: "quiet" }, born(p.date_of_birth) || p.user.username)));
  return h("div", { class: "page" }, heading("Patients"), filters(params, { name: "search", label: "Name", type: "search", autofocus: true }),
    list({
      read: api.pages(api.query("/api/patients/", { search: params.get("search") })), row,
      none: params.get("search") ? empty("No patient found", "The beginning of a name is enough. ", link("#/patients", "Show all")) : empty("No patients yet", "A patient chooses you, or the practice assigns one. Then they stand here."),
    }));
}

export async function chart({ me, args: [id], params }) {
  const { body: patient } = await api.get(`/api/patients/${id}/`);
  const name = fullName(patient.user);
  return h("div", { class: "page wide" }, h("p", { class: "up" }, link("#/patients", "Patients")),
    heading(name, link(`#/patients/${id}/new`, "Write a record", "button main")),
    h("div", { class: "chart" },
      h("aside", { class: "panel", "aria-label": "The patient" }, facts(["Born", born(patient.date_of_birth)], ["Telephone", patient.phone_number],
        ["E-mail", patient.user.email], ["Address", patient.address && paragraphs(patient.address)], ["User name", patient.user.username])),
      timeline({
        me, params, patient: id, full: true, authors: [[id, name], [me.id, "me"]],
        none: empty("No records yet", "Neither the patient nor a doctor has written anything."),
      })));
}
