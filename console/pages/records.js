// Health records: the timeline of a patient, one record with its notes, writing
// and changing, and what a record said before.
import * as api from "../api.js";
import { edit, form } from "../form.js";
import { badge, button, doing, empty, endOf, filters, format, fullName, h, heading, link, list, local, notice, paragraphs, plural, say, startOf, time } from "../ui.js";

const path = (id) => `/api/health-records/${id}/`;
const notePath = (id) => `/api/doctor-notes/${id}/`;

const by = (author, me) => (author.id === me.id ? "you" : author.name);

/** timeline lists the records of a patient under their months. The records
 * stand there in full for a doctor, and with their beginning for the patient. */
export function timeline({ me, params, authors, patient, none, full }) {
  const read = api.pages(api.query("/api/health-records/", {
    patient, search: params.get("search"), author: params.get("author"), ordering: params.get("ordering"),
    date_after: startOf(params.get("from")), date_before: endOf(params.get("to")),
  }));
  let month;
  const row = (record) => {
    const now = format(record.date, "month"), first = now !== month;
    month = now;
    return [first && h("li", { class: "month" }, h("h2", null, now)), entry(record, me, full)].filter(Boolean);
  };
  const narrowed = [...params].length > 0;
  return h("div", null, narrow(params, authors),
    list({ read, row, tag: "ol", kind: "timeline", none: narrowed ? empty("Nothing matches", "Try fewer words or another period. ", link(location.hash.split("?")[0], "Show everything")) : none }));
}

function narrow(params, authors) {
  const node = filters(params,
    { name: "search", label: "Search", type: "search" },
    { name: "from", label: "From", type: "date" }, { name: "to", label: "To", type: "date" },
    { name: "author", label: "Written by", type: "select", options: [["", "anyone"], ...authors] },
    { name: "ordering", label: "Order", type: "select", options: [["", "newest first"], ["date", "oldest first"]] });
  const [search, ...rest] = node.querySelectorAll(".field");
  const used = [...params.keys()].some((key) => key !== "search");
  node.replaceChildren(search, node.querySelector("button"), h("details", { open: used }, h("summary", null, "More filters"), h("div", { class: "filters" }, rest)));
  node.addEventListener("change", (event) => { if (event.target.tagName === "SELECT") node.requestSubmit(); });
  return node;
}

function entry(record, me, full) {
  const notes = record.doctor_notes;
  return h("li", { class: "entry" + (record.author.role === "doctor" ? " doctor" : "") }, h("article", null,
    h("p", { class: "when" }, time(record.date), " · written by ", by(record.author, me), changed(record)),
    h("h3", { dir: "auto" }, link("#/records/" + record.id, record.title)),
    paragraphs(record.description, full ? "" : "brief"),
    full ? notesOf(record, me) : notes.length > 0 && h("p", { class: "count" }, plural(notes.length, "note"), " from ", [...new Set(notes.map((n) => n.doctor_name))].join(", "))));
}

const changed = (record) => record.updated_at !== record.created_at && [" ", badge("changed")];

/** notesOf shows the notes on a record, oldest first, and lets a doctor add one. */
function notesOf(record, me) {
  const box = h("div", { class: "notes" }, record.doctor_notes.map((note) => noteOf(note, me)));
  if (!me.doctor) return box;
  const add = button("Add a note", () => {
    const node = form({
      kind: "inline", fields: [{ name: "note", label: "Note", type: "textarea", rows: "3", maxlength: "20000" }], submit: "Save the note",
      send: ({ note }) => api.post("/api/doctor-notes/", { note, health_record: record.id }),
      done: ({ body }) => { node.replaceWith(noteOf(body, me), add); say("The note is saved."); add.focus(); },
    });
    node.querySelector(".actions").append(button("Cancel", () => { node.replaceWith(add); add.focus(); }));
    add.replaceWith(node);
    node.querySelector("textarea").focus();
  }, "slight");
  box.append(add);
  return box;
}

function noteOf(note, me) {
  const own = me.doctor === note.doctor;
  const history = note.updated_at !== note.date && [" · ", link("#/notes/" + note.id + "/versions", "changed " + format(note.updated_at))];
  const node = h("article", { class: "note" },
    h("p", { class: "when" }, h("strong", null, own ? "You" : note.doctor_name), " · ", time(note.date), history),
    paragraphs(note.note),
    own && h("div", { class: "actions small" }, doing("Change", change, "plain"), doing("Delete", drop, "plain")));

  async function change() {
    const object = await api.get(notePath(note.id));
    const editor = edit({
      kind: "inline", object, submit: "Save the note", fields: [{ name: "note", label: "Note", type: "textarea", rows: "4", maxlength: "20000" }],
      values: (body) => ({ note: body.note }), load: () => api.get(notePath(note.id)),
      save: (body, version) => api.patch(notePath(note.id), body, version),
      done: ({ body }) => { editor.replaceWith(noteOf(body, me)); say("The note is saved."); },
    });
    editor.querySelector(".actions").append(button("Cancel", () => editor.replaceWith(node)));
    node.replaceWith(editor);
    editor.querySelector("textarea").focus();
  }

  async function drop() {
    if (!confirm("Delete this note? The patient and you can still see what it said.")) return;
    await api.remove(notePath(note.id));
    node.replaceWith(h("p", { class: "quiet" }, "Note deleted. ", link("#/notes/" + note.id + "/versions", "What it said")));
    say("The note is deleted.");
  }
  return node;
}

export async function show({ me, args: [id] }) {
  let answer;
  try {
    answer = await api.get(path(id));
  } catch (error) {
    if (error.status === 404) return versions({ me, args: [id] }); // who wrote it may still see what it said
    throw error;
  }
  const { body: record, version } = answer;
  const patient = me.doctor && (await api.get(`/api/patients/${record.patient}/`)).body;
  const own = record.author.id === me.id;
  const remove = async () => {
    const notes = record.doctor_notes.length > 0 ? " and the notes on it" : "";
    if (!confirm(`Delete this record${notes}? What it said stays visible to ${me.doctor ? "you and the patient" : "you"} alone.`)) return;
    await api.remove(path(id), version);
    say("The record is deleted.");
    location.hash = me.doctor ? "#/patients/" + record.patient : "#/";
  };
  return h("div", { class: "page" }, up(me, record.patient, patient),
    heading(record.title, own && link(`#/records/${id}/edit`, "Change", "button"), own && doing("Delete", remove)),
    h("div", { class: "panel" }, h("p", { class: "when" }, time(record.date), " · written by ", by(record.author, me), changed(record)), paragraphs(record.description)),
    h("h2", null, "Doctors' notes"),
    record.doctor_notes.length === 0 && !me.doctor && h("p", { class: "quiet" }, "No doctor has written a note on this yet."),
    notesOf(record, me),
    h("p", { class: "quiet foot" }, "Recorded ", time(record.created_at), record.updated_at !== record.created_at && [", last changed ", time(record.updated_at)], " · ", link(`#/records/${id}/versions`, "All versions")));
}

const up = (me, id, patient) => h("p", { class: "up" }, me.doctor ? link("#/patients/" + id, patient ? fullName(patient.user) : "The patient") : link("#/", "My records"));

const fields = [
  { name: "title", label: "Title", hint: "In a few words: what is it about?", maxlength: "200", required: true },
  { name: "description", label: "What happened", type: "textarea", rows: "10", maxlength: "20000", required: true },
  { name: "date", label: "When it happened", type: "datetime-local" },
];

/** write makes a new record: a patient about itself, a doctor about a patient. */
export async function write({ me, args: [id] }) {
  const patient = me.doctor && (await api.get(`/api/patients/${id}/`)).body;
  const back = me.doctor ? "#/patients/" + id : "#/";
  return h("div", { class: "page" }, up(me, id, patient), heading(me.doctor ? "New record about " + fullName(patient.user) : "New record"),
    !me.doctor && h("p", null, "Your doctors can read what you write here."),
    form({
      fields: [{ ...fields[0], autofocus: true }, fields[1], { ...fields[2], hint: "Leave this empty if it is now." }], submit: "Save the record", cancel: back,
      send: ({ date, ...typed }) => api.post("/api/health-records/", { ...typed, ...(date && { date: new Date(date).toISOString() }), patient: me.doctor ? id : undefined }),
      done: ({ body }) => { say("The record is saved."); location.hash = "#/records/" + body.id; },
    }));
}

export async function change({ me, args: [id] }) {
  const object = await api.get(path(id));
  return h("div", { class: "page" }, h("p", { class: "up" }, link("#/records/" + id, object.body.title)), heading("Change the record"),
    h("p", null, "What it said before is kept."),
    edit({
      object, fields, submit: "Save the changes", cancel: "#/records/" + id,
      values: ({ title, description, date }) => ({ title, description, date: local(date) }),
      toBody: (typed) => ("date" in typed ? { ...typed, date: typed.date ? new Date(typed.date).toISOString() : undefined } : typed),
      load: () => api.get(path(id)),
      save: (body, version) => api.patch(path(id), body, version),
      done: () => { say("The changes are saved."); location.hash = "#/records/" + id; },
    }));
}

/** versions shows all that a record said, newest first. */
export async function versions({ me, args: [id] }) {
  return history(`/api/health-records/${id}/versions/`, link("#/records/" + id, "The record"), "record", (v) => [
    h("h2", { dir: "auto" }, v.title), h("p", { class: "when" }, "happened ", time(v.date), " · by ", by(v.author, me)), paragraphs(v.description)]);
}

export async function noteVersions({ me, args: [id] }) {
  return history(`/api/doctor-notes/${id}/versions/`, link("#/", me.doctor ? "What is new" : "My records"), "note", (v) => [
    h("p", { class: "when" }, "by ", v.doctor === me.id ? "you" : v.doctor_name), paragraphs(v.note)]);
}

async function history(address, back, kind, content) {
  const rows = await api.all(address), deleted = rows[0].deleted_at;
  return h("div", { class: "page" }, h("p", { class: "up" }, deleted ? link("#/", "First page") : back), heading("All versions"),
    deleted ? notice("This " + kind + " was deleted ", time(deleted), ". Only the patient and who wrote it can see what it said.")
      : h("p", null, rows.length === 1 ? `This ${kind} was never changed.` : "Every change is kept, the newest first."),
    h("ol", { class: "rows plainlist" }, rows.map((v, i) => h("li", { class: "panel" },
      h("p", { class: "when" }, badge(i === 0 && !deleted ? "now" : "version " + v.version), " saved ", time(v.updated_at)), content(v)))));
}
