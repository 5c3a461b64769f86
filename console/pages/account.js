// The reader's own account: profile, password, one-time code, sessions.
import * as api from "../api.js";
import { edit, form } from "../form.js";
import { qr } from "../qr.js";
import { details, email, names, passwordHint, profile } from "./door.js";
import { badge, button, doing, facts, h, heading, link, notice, say, section, time } from "../ui.js";

const own = (me) => (me.role === "staff" ? `/api/staff/${me.id}/` : `/api/${me.role}s/${me.id}/`);

/** flat is an object of the API as the fields of its form have it. */
export const flat = ({ user, ...rest }) => ({
  ...Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, value ?? ""])),
  ...Object.fromEntries(Object.entries(user).map(([name, value]) => ["user." + name, value])),
});

export async function overview({ me, go }) {
  const [object, otp, sessions] = await Promise.all([api.get(own(me)), api.get("/api/me/otp/"), api.get("/api/me/sessions/")]);
  return h("div", { class: "page" }, heading("My account"),
    section("Profile", facts(["User name", me.user.username], me.role === "doctor" && ["Standing", me.verified ? "checked by the practice" : "not yet checked by the practice"]), profileForm(me, object, go)),
    section("Password", passwordForm()),
    section("One-time code", codeState(otp.body)),
    section("Where you are signed in", sessionList(sessions.body.results, go)),
    me.role !== "staff" && section("Delete my account", h("p", null, me.role === "patient"
      ? "Your records and the notes on them disappear for everybody. This cannot be undone here."
      : "What you wrote about patients stays, with your name. This cannot be undone here."), doing("Delete my account", async () => {
      if (prompt("To delete your account, type your user name.") !== me.user.username) return;
      await api.remove(own(me), object.version);
      location.reload();
    }, "danger")),
    h("p", { class: "quiet" }, "These pages do nothing that a program could not do for you: ", link("/api/docs/", "the API described"), "."));
}

function profileForm(me, object, go) {
  return edit({
    object, values: flat, submit: "Save the profile", load: () => api.get(own(me)), toBody: profile,
    fields: [...names, email, { name: "user.current_password", label: "Current password", type: "password", autocomplete: "current-password", hint: "Needed only to change the e-mail address." }, ...details[me.role]],
    save: (body, version) => api.patch(own(me), body, version),
    done: () => { say("The profile is saved."); go("#/account"); },
  });
}

function passwordForm() {
  const node = form({
    fields: [
      { name: "current_password", label: "Current password", type: "password", autocomplete: "current-password" },
      { name: "new_password", label: "New password", type: "password", autocomplete: "new-password", hint: passwordHint() },
    ],
    submit: "Change the password", send: (typed) => api.post("/api/me/password/", typed),
    done: () => { node.reset(); say("The password is changed. You are signed out everywhere else."); },
  });
  return node;
}

const codeState = ({ enabled, recovery_codes_left: left }) => enabled
  ? [h("p", null, badge("on", "good"), ` Signing in takes your password and a code from your telephone. ${left} of 10 recovery codes are left.`), link("#/account/code", "Turn it off", "button")]
  : [h("p", null, badge("off"), " With it, a stolen password alone opens nothing: signing in also takes a code that your telephone shows."), link("#/account/code", "Set it up", "button main")];

function sessionList(sessions, go) {
  const row = (s) => h("li", null, h("div", null, h("p", { class: "strong", dir: "auto" }, device(s.user_agent), " ", s.current && badge("this one", "good")),
    h("p", { class: "quiet" }, "since ", time(s.created_at), ", last used ", time(s.last_used_at), " from ", s.address)),
  !s.current && doing("Sign out", async () => { await api.remove(`/api/me/sessions/${s.id}/`); say("Signed out there."); go("#/account"); }));
  return [h("ul", { class: "rows" }, sessions.map(row)),
    sessions.length > 1 && doing("Sign out everywhere else", async () => { await api.remove("/api/me/sessions/"); say("You are signed out everywhere else."); go("#/account"); })];
}

/** device names a browser as people do. */
function device(agent) {
  const find = (pairs) => pairs.find(([mark]) => agent.includes(mark))?.[1];
  const browser = find([["Edg/", "Edge"], ["Firefox/", "Firefox"], ["OPR/", "Opera"], ["Chrome/", "Chrome"], ["Safari/", "Safari"]]);
  const system = find([["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android"], ["Windows", "Windows"], ["Mac OS", "Mac"], ["Linux", "Linux"]]);
  return browser ? browser + (system ? " on " + system : "") : agent || "Unknown device";
}

/** code turns the one-time code on, in three steps, or off. */
export async function code({ go, params }) {
  const { body } = await api.get("/api/me/otp/");
  const page = h("div", { class: "page" }, h("p", { class: "up" }, link("#/account", "My account")), heading("One-time code"),
    params.has("required") && notice("The practice asks for a one-time code before you go on. It takes two minutes, once."));
  page.append(...(body.enabled ? [turnOff(go)] : await turnOn(page)));
  return page;
}

function turnOff(go) {
  return h("div", null, h("p", null, "Without it, your password alone opens your account."), form({
    fields: [
      { name: "password", label: "Password", type: "password", autocomplete: "current-password" },
      { name: "otp", label: "One-time code or recovery code", autocomplete: "one-time-code", spellcheck: "false" },
    ],
    submit: "Turn it off", cancel: "#/account",
    send: ({ password, otp }) => api.remove("/api/me/otp/", null, { password, [/^\d{6}$/.test(otp.trim()) ? "otp" : "recovery_code"]: otp }),
    done: () => { say("The one-time code is off."); go("#/account"); },
  }));
}

async function turnOn(page) {
  const { secret, otpauth_url: address } = (await api.post("/api/me/otp/")).body;
  return [
    h("ol", { class: "steps" },
      h("li", null, h("p", null, "Open an authenticator app on your telephone. If you have none, install one, for example FreeOTP, Aegis or the one that came with your telephone.")),
      h("li", null, h("p", null, "Scan this picture with the app. If you cannot, type the key below it into the app."), qr(address, "QR code with the key for your app"), h("p", { class: "code" }, secret.replace(/(.{4})(?=.)/g, "$1 "))),
      h("li", null, confirmation(page))),
  ];
}

/** confirmation asks for the password too once the service wants it, which it
 * does some time after the sign-in. */
function confirmation(page) {
  const code = { name: "otp", label: "Type the six digits that the app shows now", inputmode: "numeric", autocomplete: "one-time-code" };
  const password = { name: "password", label: "Password", type: "password", autocomplete: "current-password" };
  const ask = (fields) => {
    const node = form({
      fields, submit: "Turn it on",
      send: (typed) => api.post("/api/me/otp/confirm/", typed).catch((error) => {
        if (error.status !== 400 || !error.body.password || fields.includes(password)) throw error;
        const more = ask([code, password]);
        more.write(typed);
        more.top.append(h("p", { class: "notice" }, "You signed in some time ago. Please type your password too."));
        node.replaceWith(more);
        more.querySelector("[type=password]").focus();
        return null;
      }),
      done: (answer) => {
        if (!answer) return;
        page.replaceChildren(...recovery(answer.body.recovery_codes));
        page.querySelector("h1").focus();
      },
    });
    return node;
  };
  return ask([code]);
}

const recovery = (codes) => [
  heading("Your recovery codes"),
  notice("The one-time code is on. If you lose your telephone, each of these codes lets you in once. They are shown only now: print them or write them down, and keep them apart from your password."),
  h("ul", { class: "code columns" }, codes.map((c) => h("li", null, c))),
  h("div", { class: "actions" }, button("Print", () => print()), link("#/account", "I have them", "button main")),
];
