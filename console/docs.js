// The API described: /api/schema/ as a page, where each request can be tried
// with the reader's own sign-in.
import * as session from "./session.js";
import { badge, button, failed, h, heading, link, notice, section } from "./ui.js";

const main = document.getElementById("main");
const methods = ["get", "post", "put", "patch", "delete"];
let schema;

async function start() {
  if (!session.signedIn()) await session.join();
  try {
    schema = await (await session.ask("/api/schema/", {})).json();
    draw();
  } catch (error) {
    main.replaceChildren(failed(error, start));
  }
}

/** at follows a reference within the schema. */
const at = (ref) => ref.slice(2).split("/").reduce((node, key) => node[key.replaceAll("~1", "/").replaceAll("~0", "~")], schema);
const resolve = (node) => (node?.$ref ? resolve(at(node.$ref)) : node);

function draw() {
  const operations = Object.entries(schema.paths).flatMap(([path, item]) =>
    methods.filter((m) => item[m]).map((method) => ({ path, method, ...item[method], parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])].map(resolve) })));
  const groups = Map.groupBy(operations, (o) => o.tags?.[0] ?? o.path.split("/")[2] ?? "service");
  document.getElementById("top").replaceChildren(link("/", "Health records", "brand"));
  main.replaceChildren(h("div", { class: "page" }, heading("The API"),
    h("p", { class: "text" }, schema.info.description),
    session.signedIn() ? notice("Requests that you try here are made as you: they change real data and stand in the audit trail.")
      : notice("You are not signed in. ", link("/", "Sign in"), " and come back in the same tab to try requests as yourself."),
    [...groups].map(([name, list]) => section(name || "index", list.map(operation)))));
  document.title = "The API · Health records";
}

function operation(o) {
  const node = h("details", { class: "operation" }, h("summary", null, h("code", { class: "method" }, o.method.toUpperCase()), " ", h("code", null, o.path), " ", h("span", { class: "quiet" }, o.summary)));
  node.addEventListener("toggle", () => node.append(described(o)), { once: true });
  return node;
}

function described(o) {
  const body = resolve(o.requestBody)?.content?.["application/json"];
  return h("div", { class: "described" }, o.description && h("p", { class: "text" }, o.description),
    o.parameters.length > 0 && table(["Parameter", "In", "Meaning"], o.parameters.map((p) => [h("code", null, p.name, p.required && " *"), p.in, [p.description, " ", limits(resolve(p.schema))]])),
    body && [h("h3", null, "Body"), fields(resolve(body.schema))],
    h("h3", null, "Answers"), table(["Status", "Meaning", "Body"], Object.entries(o.responses).map(([status, r]) => {
      const answer = resolve(r), shape = answer.content && Object.values(answer.content)[0].schema;
      return [badge(status, status < "300" ? "good" : ""), answer.description, shape ? typeName(shape) : ""];
    })), trial(o, body));
}

function table(columns, rows) {
  return h("table", { class: "trail" }, h("thead", null, h("tr", null, columns.map((c) => h("th", { scope: "col" }, c)))),
    h("tbody", null, rows.map((row) => h("tr", null, row.map((cell, i) => h("td", { "data-label": columns[i] }, cell))))));
}

function fields(shape, before = "", required = shape.required ?? []) {
  const rows = (node, prefix, needed) => Object.entries(node.properties ?? {}).flatMap(([name, given]) => {
    const value = resolve(given);
    if (value.readOnly) return [];
    return [[h("code", null, prefix + name, needed.includes(name) && " *"), typeName(given), [value.description, " ", limits(value)]], ...(value.properties ? rows(value, prefix + name + ".", value.required ?? []) : [])];
  });
  return table(["Field", "Type", "Meaning"], rows(shape, before, required));
}

function typeName(shape) {
  if (shape.$ref) return shape.$ref.split("/").at(-1);
  const kinds = shape.anyOf ?? shape.oneOf;
  if (kinds) return kinds.map(typeName).join(" or ");
  if (shape.type === "array") return "list of " + typeName(shape.items ?? {});
  return [shape.type].flat().join(" or ") + (shape.format ? ` (${shape.format})` : "");
}

function limits(shape = {}) {
  const said = { maxLength: "at most $ characters", minLength: "at least $ characters", minimum: "from $", maximum: "to $", default: "$ if left out", enum: "one of $" };
  return h("span", { class: "quiet" }, Object.entries(said).filter(([key]) => shape[key] !== undefined).map(([key, text]) => text.replace("$", () => [shape[key]].flat().join(", "))).join("; "));
}

/** trial is a form that sends the request, and shows the answer as it came. */
function trial(o, body) {
  const prefix = o.operationId ?? o.method + o.path;
  const line = (p) => h("div", { class: "field" }, h("label", { for: prefix + p.name }, p.name), h("input", { id: prefix + p.name, name: p.name, spellcheck: "false" }));
  const example = body && JSON.stringify(body.example ?? resolve(body.schema).example ?? {}, null, 2);
  const out = h("div", { role: "status" });
  const go = h("button", { class: "main" }, "Send");
  const node = h("form", { async onsubmit(event) {
    event.preventDefault();
    go.disabled = true;
    await send(o, new FormData(node), node.querySelector("textarea")?.value).then((shown) => out.replaceChildren(shown), (error) => out.replaceChildren(failed(error)));
    go.disabled = false;
  } }, o.parameters.length > 0 && h("div", { class: "filters" }, o.parameters.map(line)),
  body && h("div", { class: "field" }, h("label", { for: prefix + "body" }, "Body"), h("textarea", { id: prefix + "body", rows: String(Math.min(14, example.split("\n").length + 1)), spellcheck: "false", class: "code", value: example })),
  h("div", { class: "actions" }, go, button("Clear", () => out.replaceChildren())), out);
  return h("details", { class: "try" }, h("summary", null, "Try it"), node);
}

async function send(o, given, body) {
  const headers = {}, query = new URLSearchParams();
  let path = o.path;
  for (const p of o.parameters) {
    const value = given.get(p.name);
    if (p.in === "path") path = path.replace(`{${p.name}}`, encodeURIComponent(value));
    else if (value && p.in === "query") query.set(p.name, value);
    else if (value) headers[p.name] = value;
  }
  if (session.signedIn()) headers.Authorization = "Bearer " + (await session.access());
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await session.ask(path + (query.size ? "?" + query : ""), { method: o.method.toUpperCase(), headers, body });
  const text = await answer.text();
  let shown = text;
  if (answer.headers.get("Content-Type")?.includes("json") && text) shown = JSON.stringify(JSON.parse(text), null, 2);
  const told = ["ETag", "Location", "Retry-After", "X-Request-Id"].filter((name) => answer.headers.get(name)).map((name) => `${name}: ${answer.headers.get(name)}`);
  return h("div", null, h("p", null, badge(String(answer.status), answer.ok ? "good" : "bad"), " ", told.join(" · ")), text && h("pre", { tabindex: "0" }, shown));
}

session.listen({ ended: () => location.reload(), used() {} });
start();
