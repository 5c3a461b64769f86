// Forms: what was typed stays whatever the server says, each message stands at
// its field, and when somebody else was faster, both versions are shown.
import { button, h, input, problem } from "./ui.js";

const plain = {
  "This field is required.": "Please fill this in.",
  "This field may not be blank.": "Please fill this in.",
  "This field may not be null.": "Please fill this in.",
  "The date may not be in the future.": "This date has not come yet.",
};

/** dirty tells whether something was typed in a form on the page and not sent. */
export const dirty = () => document.querySelector("form.dirty") !== null;

/**
 * form shows fields and sends what was typed.
 *   fields   as input takes them; their names may have a dot: user.email
 *   send     is given all values, nested; the page goes on with its answer
 *   done     is called with that answer
 *   cancel   the address to go back to
 */
export function form({ fields, submit, send, done, cancel, kind = "" }) {
  const top = h("div", { "aria-live": "assertive" });
  const controls = fields.map((field) => input(field));
  const go = h("button", { class: "main" }, submit);
  const node = h("form", { class: kind, novalidate: true, oninput: () => node.classList.add("dirty"), onsubmit },
    top, controls, h("div", { class: "actions" }, go, cancel && h("a", { href: cancel, class: "button", onclick: () => node.classList.remove("dirty") }, "Cancel")));

  node.read = () => Object.fromEntries(fields.map(({ name, type }, i) => {
    const control = controls[i].querySelector("input, textarea, select");
    return [name, type === "checkbox" ? control.checked : control.value];
  }));
  node.write = (values) => fields.forEach(({ name, type }, i) => {
    const control = controls[i].querySelector("input, textarea, select");
    if (name in values) control[type === "checkbox" ? "checked" : "value"] = values[name];
  });
  node.top = top;

  async function onsubmit(event) {
    event?.preventDefault();
    if (go.disabled) return;
    go.disabled = true;
    node.setAttribute("aria-busy", "true");
    show({});
    top.replaceChildren();
    try {
      const answer = await send(node.read());
      node.classList.remove("dirty");
      done(answer);
    } catch (error) {
      if (error.status === 400 && !error.code) show(flatten(error.body));
      else top.replaceChildren(...(error.shown ?? [h("p", { class: "alert" }, problem(error))]));
    } finally {
      go.disabled = false;
      node.removeAttribute("aria-busy");
    }
  }
  node.submit = onsubmit;

  /** show puts each message at its field, and what has none on top. */
  function show(messages) {
    const left = { ...messages };
    fields.forEach(({ name }, i) => {
      const control = controls[i].querySelector("input, textarea, select"), line = controls[i].querySelector(".error");
      const said = (messages[name] ?? []).map((m) => plain[m] ?? m).join(" ");
      line.textContent = said;
      control.setAttribute("aria-invalid", said ? "true" : "false");
      control.setAttribute("aria-describedby", [control.id + "h", control.id + "e"].filter((id) => node.querySelector("#" + id)?.textContent).join(" "));
      delete left[name];
    });
    const rest = Object.values(left).flat();
    if (rest.length) top.replaceChildren(h("p", { class: "alert" }, rest.join(" ")));
    (node.querySelector("[aria-invalid=true]") ?? (rest.length ? go : null))?.focus();
  }
  return node;
}

/** flatten makes {"user.email": […]} of {"user": {"email": […]}}. */
function flatten(messages, before = "") {
  return Object.assign({}, ...Object.entries(messages).map(([name, said]) =>
    Array.isArray(said) ? { [before + name]: said.map((m) => (typeof m === "string" ? m : Object.values(m).flat().join(" "))) } : flatten(said, before + name + ".")));
}

/** nest is the way back, for a body. */
export function nest(values) {
  const body = {};
  for (const [name, value] of Object.entries(values)) {
    const [first, second] = name.split(".");
    if (second) (body[first] ??= {})[second] = value;
    else body[first] = value;
  }
  return body;
}

/**
 * edit is a form over an object that exists. Only what was changed is sent, for
 * the version that was read; when there is a newer one, the reader chooses.
 *   values   the object as the fields have it, from its body
 *   toBody   the other way, of what was changed
 *   load     reads the object anew
 *   save     is given the body and the version that it is for
 */
export function edit({ object, fields, values, toBody = nest, load, save, ...rest }) {
  let { version } = object, base = values(object.body);
  const node = form({ ...rest, fields: fields.map((field) => ({ ...field, value: base[field.name] ?? "" })), send });

  async function send(typed) {
    const changed = Object.fromEntries(Object.entries(typed).filter(([name, value]) => value !== (base[name] ?? "")));
    try {
      return await save(toBody(changed), version);
    } catch (error) {
      if (error.status === 412) error.shown = [await choice(typed, changed)];
      throw error;
    }
  }

  /** choice shows what is stored now beside what was typed. */
  async function choice(typed, changed) {
    const now = await load(), stored = values(now.body);
    const differing = fields.filter(({ name }) => name in stored && (stored[name] ?? "") !== typed[name]);
    const settle = (mine) => () => {
      version = now.version;
      base = stored;
      node.write(mine ? { ...stored, ...changed } : stored);
      if (mine) return node.submit();
      node.classList.remove("dirty");
      node.top.replaceChildren(h("p", { class: "notice" }, "The form now shows what is stored."));
      return undefined;
    };
    return h("div", { class: "alert conflict" },
      h("p", { class: "strong" }, "While you were writing, this was changed elsewhere. Nothing of yours is lost: choose what to keep."),
      differing.map(({ name, label }) => h("div", { class: "versions" },
        h("div", null, h("h3", null, label + ", as stored now"), h("p", { class: "text", dir: "auto" }, stored[name] || "(empty)")),
        h("div", null, h("h3", null, label + ", as you wrote it"), h("p", { class: "text", dir: "auto" }, typed[name] || "(empty)")))),
      h("div", { class: "actions" }, button("Keep mine", settle(true), "main"), button("Take what is stored", settle(false))));
  }
  return node;
}
