// The practice at a glance, and invitations, for staff.
import * as api from "../api.js";
import { form } from "../form.js";
import { details, names, profile } from "./door.js";
import { badge, doing, empty, format, h, heading, link, list, notice, plural, say, section, time } from "../ui.js";

export async function overview() {
  const { body: s } = await api.get("/api/status/");
  const card = (address, n, text) => h("a", { class: "card", href: address }, h("strong", null, n.toLocaleString()), h("span", null, text));
  const age = s.last_backup ? (Date.now() - new Date(s.last_backup)) / 36e5 : Infinity;
  const state = (good, text, ...more) => h("li", null, h("p", null, badge(good ? "good" : "look", good ? "good" : "bad"), " ", text), more.length > 0 && h("p", { class: "quiet" }, more));
  const late = s.mail_oldest && Date.now() - new Date(s.mail_oldest) > 36e5;
  return h("div", { class: "page" }, heading("Practice", link("#/invite/patient", "Invite a patient", "button main")),
    s.doctors_unverified > 0 && notice(`${plural(s.doctors_unverified, "doctor")} ${s.doctors_unverified === 1 ? "waits" : "wait"} until you have checked who they are. `, link("#/doctors", "Look at the doctors")),
    h("div", { class: "cards" }, card("#/patients", s.patients, s.patients === 1 ? "patient" : "patients"), card("#/doctors", s.doctors, s.doctors === 1 ? "doctor" : "doctors"),
      card("#/staff", s.staff, "staff"), card("#/invitations", s.invitations, s.invitations === 1 ? "open invitation" : "open invitations")),
    section("State of the service", h("ul", { class: "rows" },
      state(age < 36, s.last_backup ? ["The last backup is from ", time(s.last_backup), "."] : "There is no backup yet.", age >= 36 && "Ask whoever runs the service: there should be one every day."),
      s.mail === "logged" ? state(false, "This service sends no mail. Hand links over yourself.", "Nobody is told when a patient chooses a doctor, or when somebody signs in from elsewhere.")
        : state(!late, s.mail_waiting === 0 ? "No mail waits." : [plural(s.mail_waiting, "mail"), " to send, the oldest since ", time(s.mail_oldest), "."], late && "The mail server may be away."),
      (s.mail === "sent" || s.mail_failed > 0) && state(s.mail_failed === 0, s.mail_failed === 0 ? "No mail was given up in the last 30 days." : `${plural(s.mail_failed, "mail")} could not be delivered in the last 30 days.`, s.mail_failed > 0 && "Check the e-mail addresses, and tell those people by other means."))));
}

export function invitations({ go }) {
  const row = (i) => {
    const over = new Date(i.expires_at) < new Date();
    return h("li", null, h("div", null, h("p", { class: "strong", dir: "auto" }, [i.first_name, i.last_name].filter(Boolean).join(" ") || i.email, " ", badge(i.role), " ", over && badge("expired", "bad")),
      h("p", { class: "quiet", dir: "auto" }, i.email, " · ", over ? "expired " : "good until ", time(i.expires_at))),
    h("div", { class: "actions" },
      doing("Send again", async () => { const { body } = await api.post(`/api/invitations/${i.id}/resend/`); sent(body, go); }),
      doing("Withdraw", async () => {
        if (!confirm("The invitation and the account that it prepared are deleted. Go on?")) return;
        await api.remove(`/api/invitations/${i.id}/`);
        say("The invitation is withdrawn.");
        go("#/invitations");
      })));
  };
  return h("div", { class: "page" }, heading("Invitations", link("#/invite/doctor", "Invite a doctor", "button"), link("#/invite/patient", "Invite a patient", "button main")),
    h("div", { id: "sent" }),
    list({ read: api.pages("/api/invitations/"), row, none: empty("No open invitations", "Those who have accepted stand among the patients and doctors.") }));
}

/** sent says that a mail is on its way or, where the service sends none, shows
 * the link to hand over. */
function sent({ token, email, expires_at: until }, go) {
  if (!token) {
    say("The invitation is sent.");
    return go("#/invitations");
  }
  document.getElementById("sent").replaceChildren(notice(h("p", null, `This service sends no mail. Give this link to ${email}, and nobody else. It is shown only now and is good until ${format(until)}.`),
    h("p", { class: "code" }, location.origin + "/#/invitation/" + token)));
  return undefined;
}

export function invite({ args: [role], go }) {
  const plainNames = names.map((f) => ({ ...f, name: f.name.replace("user.", ""), autocomplete: "off" }));
  const page = h("div", { class: "page" }, h("p", { class: "up" }, link("#/invitations", "Invitations")), heading("Invite a " + role),
    h("p", null, "A mail with a link goes to this address; a service that sends no mail shows you the link to hand over. Whoever opens it chooses user name and password. The link is good for five days."),
    h("div", { id: "sent" }), form({
      fields: [{ name: "email", label: "E-mail address", type: "email", autocomplete: "off", autofocus: true }, ...plainNames, ...details[role].map((f) => ({ ...f, autocomplete: "off" }))],
      submit: "Invite", cancel: "#/invitations",
      send: (typed) => api.post("/api/invitations/", { role, ...profile(typed) }),
      done: ({ body }) => {
        if (body.token) page.querySelector("form").remove();
        sent(body, go);
      },
    }));
  return page;
}
