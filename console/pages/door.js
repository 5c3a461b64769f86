// The way in: signing in, registering, an invitation, a forgotten password.
import * as api from "../api.js";
import { ask, post } from "../session.js";
import { form, nest } from "../form.js";
import { button, empty, h, link, notice, say } from "../ui.js";

const outside = (...content) => h("div", { class: "door" }, content);

let shortest; // password that the service takes: a setting, which its schema tells

/** passwordHint says what a new password should be like. */
export function passwordHint() {
  const node = h("span", null, "Four or five words that do not belong together are long and easy to remember.");
  shortest ??= ask("/api/schema/", {}).then((answer) => answer.json())
    .then(({ paths }) => paths["/api/me/password/"].post.requestBody.content["application/json"].schema.properties.new_password.minLength);
  shortest.then((n) => node.prepend(`At least ${n} characters. `), () => { shortest = null; }); // then it is told after the first try
  return node;
}

const username = { name: "username", label: "User name", autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true };
const newPassword = (name) => ({ name, label: "Password", type: "password", autocomplete: "new-password", hint: passwordHint(), required: true });

/** names are the fields of every account. */
export const names = [
  { name: "user.first_name", label: "First name", half: true, autocomplete: "given-name" },
  { name: "user.last_name", label: "Last name", half: true, autocomplete: "family-name" },
];
export const email = { name: "user.email", label: "E-mail address", type: "email", autocomplete: "email", hint: "Without one, nothing can be sent to you, and a forgotten password means asking at the practice." };

/** details are the further fields of a patient's or doctor's profile. */
export const details = {
  patient: [
    { name: "date_of_birth", label: "Date of birth", type: "date", half: true, autocomplete: "bday" },
    { name: "phone_number", label: "Telephone", type: "tel", half: true, autocomplete: "tel" },
    { name: "address", label: "Address", type: "textarea", rows: "3", autocomplete: "street-address" },
  ],
  doctor: [
    { name: "specialization", label: "Specialization", half: true },
    { name: "license_number", label: "Licence number", half: true },
  ],
  staff: [],
};

/** profile makes a body of what was typed: a date left empty is none. */
export function profile(values) {
  return nest("date_of_birth" in values ? { ...values, date_of_birth: values.date_of_birth || null } : values);
}

export function signIn({ reason, enter }) {
  let step = null; // which further field is asked for
  const fields = () => [
    { ...username, autofocus: !step },
    { name: "password", label: "Password", type: "password", autocomplete: "current-password", required: true },
    step === "otp" && { name: "otp", label: "One-time code", hint: "The six digits that your app shows now.", inputmode: "numeric", autocomplete: "one-time-code" },
    step === "recovery_code" && { name: "recovery_code", label: "Recovery code", hint: "One of the ten that you wrote down. Each works once.", autocomplete: "off", spellcheck: "false" },
  ].filter(Boolean);
  const place = h("div");

  function draw(typed = {}, said) {
    const node = form({ fields: fields(), submit: "Sign in", send, done: enter });
    node.write(typed);
    const other = { otp: ["recovery_code", "Use a recovery code instead"], recovery_code: ["otp", "Use a one-time code instead"] }[step];
    place.replaceChildren(node, other ? button(other[1], () => { [step] = other; draw(node.read()); }, "plain") : "");
    if (said) node.top.replaceChildren(said);
    if (step) node.querySelector(`[name=${step}]`).focus();
  }

  async function send(typed) {
    // The proof of a known device is no token: it opens nothing. It keeps
    // strangers' failures from slowing this reader, and spares a mail.
    const answer = await post("/api/token/", { ...typed, device: localStorage.getItem("device") ?? "" });
    const body = await answer.json();
    if (answer.ok) {
      if (body.device) localStorage.setItem("device", body.device);
      return body;
    }
    if (body.code === "otp_required") {
      step = "otp";
      draw(typed);
      return new Promise(() => {}); // this form is gone
    }
    const error = new api.Refused(answer, body);
    if (body.code === "otp_invalid") error.shown = [h("p", { class: "alert" }, step === "otp" ? "This code is not right, or no longer. Wait for the next one." : "This recovery code is not right, or was used.")];
    if (body.code === "no_active_account") error.shown = [h("p", { class: "alert" }, "User name and password do not match. Check both and try again.")];
    throw error;
  }

  draw();
  return outside(h("h1", { tabindex: "-1" }, "Sign in"), reason, place,
    h("p", { class: "quiet links" }, link("#/password-reset", "Forgotten your password?"), link("#/register", "New here? Register")));
}

export async function register({ enter, params }) {
  // The service says at once whether it is open, so that nobody fills in a form
  // for nothing.
  const closed = await api.post("/api/patients/", {}, true).then(() => false, (error) => error.code === "registration_closed");
  if (closed) {
    return outside(h("h1", { tabindex: "-1" }, "Register"), empty("You cannot register here yourself", "The practice makes all accounts. Ask there: you will be sent an invitation."),
      h("p", null, link("#/", "Back to signing in")));
  }
  const role = params.get("as") === "doctor" ? "doctor" : "patient";
  const tab = (as, text) => h("a", { href: "#/register?as=" + as, "aria-current": role === as ? "page" : null }, text);
  return outside(h("h1", { tabindex: "-1" }, "Register"),
    h("nav", { class: "tabs", "aria-label": "I am" }, tab("patient", "I am a patient"), tab("doctor", "I am a doctor")),
    role === "doctor" && notice("The practice checks who you are before you can see patients."),
    form({
      fields: [...names, { ...username, name: "user.username", hint: "You sign in with it. It cannot be changed later." }, newPassword("user.password"), email, ...details[role]],
      submit: "Register",
      send: async (typed) => {
        await api.post(`/api/${role}s/`, profile(typed), true);
        const answer = await post("/api/token/", { username: typed["user.username"].trim(), password: typed["user.password"] });
        return answer.json();
      },
      done: enter, cancel: "#/",
    }));
}

export function askReset() {
  const place = h("div", null, form({
    fields: [{ name: "who", label: "User name or e-mail address", autocomplete: "username", autocapitalize: "none", autofocus: true, required: true }],
    submit: "Ask for a link",
    send: async ({ who }) => { // a user name may look like an address, too
      await api.post("/api/password-reset/", { username: who }, true);
      if (who.includes("@")) await api.post("/api/password-reset/", { email: who }, true);
    },
    done: () => place.replaceChildren(notice("If there is such an account with an e-mail address, and this service sends mail, a link goes to that address. It is good for 10 minutes."),
      h("p", null, "No mail? Look in the spam folder, then ask at the practice: there you can be given a link.")),
    cancel: "#/",
  }));
  return outside(h("h1", { tabindex: "-1" }, "Forgotten password"), h("p", null, "Where this service sends mail, a link to choose a new one goes to the e-mail address of your account. Otherwise ask at the practice."), place);
}

export function reset({ args: [token], go }) {
  return outside(h("h1", { tabindex: "-1" }, "New password"), form({
    fields: [newPassword("password")], submit: "Set the password",
    send: ({ password }) => withToken(api.post("/api/password-reset/confirm/", { token, password }, true), "Ask for a new one."),
    done: () => { go("#/"); say("The password is set. Sign in with it."); },
    cancel: "#/",
  }), h("p", { class: "quiet links" }, link("#/password-reset", "Ask for a new link")));
}

export function accept({ args: [token], enter }) {
  return outside(h("h1", { tabindex: "-1" }, "Welcome"), h("p", null, "The practice has made an account for you. Choose how you will sign in."), form({
    fields: [{ ...username, hint: "It cannot be changed later.", autofocus: true }, newPassword("password")], submit: "Begin",
    send: async ({ username, password }) => {
      await withToken(api.post("/api/invitations/accept/", { token, username, password }, true), "Ask the practice for a new one.");
      const answer = await post("/api/token/", { username: username.trim(), password });
      return answer.json();
    },
    done: enter,
  }));
}

/** withToken says of a bad link what to do; it has no field of its own. */
async function withToken(request, then) {
  try {
    return await request;
  } catch (error) {
    if (error.body?.token) error.shown = [h("p", { class: "alert" }, "This link has expired or was used. " + then)], error.code = "token";
    throw error;
  }
}
