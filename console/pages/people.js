// The accounts, for staff: patients, doctors and staff; who treats whom;
// verification; accounts on and off.
import * as api from "../api.js";
import { edit, form } from "../form.js";
import { flat } from "./account.js";
import { details, email, names, passwordHint, profile } from "./door.js";
import { badge, birthday, doing, empty, facts, filters, fullName, h, heading, link, list, notice, say, section } from "../ui.js";

const kinds = {
  patient: { path: "/api/patients/", page: "#/patients", one: "patient", none: "Make the first account, or send an invitation." },
  doctor: { path: "/api/doctors/", page: "#/doctors", one: "doctor", none: "Make the first account, or send an invitation." },
  staff: { path: "/api/staff/", page: "#/staff", one: "staff account", none: "" },
};

const off = (user) => user.is_active === false && badge("switched off", "bad");
const invited = (user) => user.username === "" && badge("invited");
const standing = (d) => d.verified === false && badge("not verified", "bad");

function people(kind, title, params, told) {
  const { path, page, one, none } = kinds[kind];
  const row = (p) => h("li", null, h("a", { class: "whole", href: page + "/" + p.id },
    h("span", { class: "strong", dir: "auto" }, fullName(p.user) || p.user.email), h("span", { class: "quiet", dir: "auto" }, told(p)), h("span", { class: "badges" }, standing(p), invited(p.user), off(p.user))));
  return h("div", { class: "page" }, heading(title, kind !== "staff" && link("#/invite/" + kind, "Invite", "button"), link("#/new/" + kind, "New " + one, "button main")),
    kind !== "staff" && filters(params, { name: "search", label: "Name or user name", type: "search" }),
    list({
      read: api.pages(api.query(path, { search: params.get("search") })), row,
      none: params.get("search") ? empty("Nobody found", "The beginning of a name is enough. ", link(page, "Show all")) : empty("Nobody yet", none),
    }));
}

export const patients = ({ params }) => people("patient", "Patients", params, (p) => birthday(p.date_of_birth) || p.user.username);
export const doctors = ({ params }) => people("doctor", "Doctors", params, (d) => d.specialization || d.user.username);
export const staff = ({ params }) => people("staff", "Staff", params, (s) => s.user.username);

/** account shows one account with its form and switch, and what else is given. */
async function account(kind, { args: [id], go, me }, ...content) {
  const { path, page } = kinds[kind], here = page + "/" + id, own = path + id + "/";
  const object = await api.get(own), { user, verified } = object.body;
  const change = async (body, text) => { await api.patch(own, body, object.version); say(text); go(here); };
  const self = me.id === id;
  return h("div", { class: "page" }, h("p", { class: "up" }, link(page, kind === "staff" ? "Staff" : kind === "doctor" ? "Doctors" : "Patients")),
    heading(fullName(user) || user.email),
    h("p", { class: "badges" }, standing(object.body), invited(user), off(user)),
    verified === false && notice("This doctor can see no patients until you have verified who it is. ", doing("Verify", () => change({ verified: true }, "The doctor is verified."), "main")),
    section("Profile", facts(["User name", user.username]), edit({
      object, values: flat, toBody: profile, submit: "Save the profile", load: () => api.get(own),
      fields: [...names, { ...email, hint: null }, ...details[kind], self && { name: "user.current_password", label: "Current password", type: "password", autocomplete: "current-password", hint: "Needed only to change the e-mail address." }].filter(Boolean),
      save: (body, version) => api.patch(own, body, version), done: () => { say("The profile is saved."); go(here); },
    })),
    content.map((make) => make(object, change)),
    section("Account", h("p", null, user.is_active ? "The account is on: its owner can sign in." : "The account is off: its owner cannot sign in."),
      h("div", { class: "actions" },
        user.is_active ? doing("Switch off", () => confirm("All sessions of this account end at once. Go on?") && change({ user: { is_active: false } }, "The account is off.")) : doing("Switch on", () => change({ user: { is_active: true } }, "The account is on.")),
        verified && doing("Withdraw verification", () => confirm("This doctor loses access to all patients at once. Go on?") && change({ verified: false }, "The verification is withdrawn.")),
        kind === "patient" && link(here + "/accesses", "Who looked", "button"),
        h("a", { class: "button", href: "#/trail?actor=" + id }, "What it did"),
        doing("Delete", async () => {
          if (!confirm("Delete this account? This cannot be undone here.")) return;
          await api.remove(own, object.version);
          say("The account is deleted.");
          go(page);
        }, "danger"))));
}

export async function patient(context) {
  const all = await api.all("/api/doctors/");
  return account("patient", context, ({ body }, change) => section("Doctors", pairing(body.doctors, all.filter((d) => d.verified), "doctor", (doctors) => change({ doctors }, "The doctors are changed."))));
}

export async function doctor(context) {
  const all = await api.all("/api/patients/");
  return account("doctor", context, ({ body }, change) => section("Patients", pairing(body.patients, all, "patient", (patients) => change({ patients }, "The patients are changed."))));
}

export const colleague = (context) => account("staff", context);

/** pairing shows who is assigned, and assigns others. */
function pairing(ids, all, one, change) {
  const page = kinds[one].page, chosen = all.filter((p) => ids.includes(p.id)), rest = all.filter((p) => !ids.includes(p.id));
  const row = (p) => h("li", null, link(page + "/" + p.id, fullName(p.user) || p.user.email), doing("Remove", () => confirm(`Remove ${fullName(p.user)}?`) && change(ids.filter((id) => id !== p.id))));
  return [
    chosen.length ? h("ul", { class: "rows" }, chosen.map(row)) : h("p", { class: "quiet" }, `No ${one} is assigned.`),
    rest.length > 0 && form({
      kind: "inline line", submit: "Assign", fields: [{ name: "who", label: "Assign a " + one, type: "select", options: [["", "Choose…"], ...rest.map((p) => [p.id, [fullName(p.user) || p.user.email, birthday(p.date_of_birth) || p.specialization].filter(Boolean).join(", ")])] }],
      send: async ({ who }) => who && change([...ids, who]), done() {},
    }),
  ];
}

/** create makes an account that its owner can use at once. */
export function create({ args: [kind], go }) {
  const { path, page, one } = kinds[kind];
  return h("div", { class: "page" }, h("p", { class: "up" }, link(page, "Back")), heading("New " + one),
    kind !== "staff" && notice("An invitation is better: then nobody but its owner ever knows the password. ", link("#/invite/" + kind, "Invite instead")),
    form({
      fields: [...names, { name: "user.username", label: "User name", autocomplete: "off", autocapitalize: "none", spellcheck: "false" }, { name: "user.password", label: "Password", type: "password", autocomplete: "new-password", hint: passwordHint() }, { ...email, autocomplete: "off", hint: "Without one, nothing can be sent to this person." }, ...details[kind]],
      submit: "Make the account", cancel: page, send: (typed) => api.post(path, profile(typed)),
      done: ({ body }) => { say("The account is made."); go(page + "/" + body.id); },
    }));
}
