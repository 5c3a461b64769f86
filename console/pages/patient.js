// What a patient sees first, and the choice of doctors.
import * as api from "../api.js";
import { timeline as records } from "./records.js";
import { badge, doing, empty, filters, fullName, h, heading, link, list, notice, say } from "../ui.js";

export async function timeline({ me, params }) {
  const { doctors } = (await api.get(`/api/patients/${me.id}/`)).body;
  const known = await Promise.all(doctors.map((id) => api.get(`/api/doctors/${id}/`).then(({ body }) => [id, fullName(body.user)], () => null)));
  return h("div", { class: "page" }, heading("My records", link("#/records/new", "Write a record", "button main")),
    doctors.length === 0 && notice("No doctor can read your records yet. ", link("#/doctors", "Choose your doctors")),
    records({
      me, params, authors: [[me.id, "me"], ...known.filter(Boolean)],
      none: empty("Nothing here yet", "Write down what you notice: a symptom, a measurement, a question. Your doctors can read it and answer."),
    }));
}

export async function doctors({ me, params, go }) {
  const self = await api.get(`/api/patients/${me.id}/`);
  const mine = self.body.doctors;
  const chosen = await Promise.all(mine.map((id) => api.get(`/api/doctors/${id}/`).then(({ body }) => body, () => null)));
  const change = async (ids, text) => {
    await api.patch(`/api/patients/${me.id}/`, { doctors: ids }, self.version);
    say(text);
    go(location.hash);
  };
  const add = (doctor) => doing("Choose", () =>
    confirm(`${fullName(doctor.user)} will be able to read all your records and write notes. Go on?`) && change([...mine, doctor.id], "The doctor can see your records now."), "main");
  const drop = (doctor) => doing("Remove", () =>
    confirm(`${fullName(doctor.user)} will no longer see your records. What this doctor wrote stays. Go on?`) && change(mine.filter((id) => id !== doctor.id), "The doctor cannot see your records any more."));
  const row = (doctor, action) => h("li", null, h("div", null, h("p", { class: "strong", dir: "auto" }, fullName(doctor.user)), h("p", { class: "quiet", dir: "auto" }, doctor.specialization)), action);

  return h("div", { class: "page" }, heading("My doctors"), h("p", null, "These doctors can read all your records and write notes on them. Nobody else can."),
    chosen.some(Boolean) ? h("ul", { class: "rows" }, chosen.filter(Boolean).map((d) => row(d, drop(d)))) : empty("No doctor yet", "Choose your doctors below."),
    h("h2", null, "All doctors of the practice"), filters(params, { name: "search", label: "Name", type: "search" }),
    list({
      read: api.pages(api.query("/api/doctors/", { search: params.get("search") })),
      row: (d) => row(d, mine.includes(d.id) ? badge("chosen", "good") : add(d)),
      none: params.get("search") ? empty("No doctor found", "Try another name. ", link(location.hash.split("?")[0], "Show all")) : empty("No doctor to choose yet", "The practice has not entered its doctors here. Ask there, or look again later."),
    }));
}
