// The API as a client sees it: requests with the reader's token, and errors.
import * as session from "./session.js";
export { Offline, Ended } from "./session.js";

/** Refused is thrown when the server said no: status, and body as it came. */
export class Refused extends Error {
  constructor(answer, body) {
    super(body?.detail ?? "");
    this.status = answer.status;
    this.code = body?.code;
    this.body = body ?? {};
    this.wait = Number(answer.headers.get("Retry-After")) || 0;
  }
}

let signInAgain = () => Promise.reject(new session.Ended());

/** onEnd sets what happens when the session is over: it returns a promise that
 * is kept when the same person has signed in again. */
export const onEnd = (f) => { signInAgain = f; };

/** request sends one request, and returns body, version and headers of the
 * answer. A session that ended is renewed by the reader, for what would change
 * something; the request then goes out again. */
export async function request(method, path, { body, version, open } = {}) {
  for (let renewed = false; ;) {
    const token = open ? null : await session.access().catch((error) => ended(error, method));
    if (token === undefined) continue; // the reader has signed in again
    const headers = {};
    if (token) headers.Authorization = "Bearer " + token;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (version) headers["If-Match"] = version;
    const answer = await session.ask(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    const said = text && answer.headers.get("Content-Type") === "application/json" ? JSON.parse(text) : null;
    if (answer.status === 401 && token && said?.code === "token_not_valid" && !renewed) {
      renewed = true;
      await session.renew(token).catch((error) => ended(error, method));
      continue;
    }
    // Nothing works before the code is set up, so every page leads there.
    if (said?.code === "otp_setup_required") location.replace("#/account/code?required=1");
    if (!answer.ok) throw new Refused(answer, said);
    return { body: said, version: answer.headers.get("ETag"), status: answer.status, headers: answer.headers };
  }
}

async function ended(error, method) {
  if (!(error instanceof session.Ended)) throw error;
  const again = signInAgain();
  if (method === "GET") throw error; // what was shown is asked anew after signing in
  await again;
}

export const get = (path) => request("GET", path);
export const post = (path, body, open) => request("POST", path, { body, open });
export const patch = (path, body, version) => request("PATCH", path, { body, version });
export const remove = (path, version, body) => request("DELETE", path, { version, body });

/** query adds filters to the path of a list, without the empty ones. */
export function query(path, filters) {
  const given = Object.entries(filters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? path + (path.includes("?") ? "&" : "?") + new URLSearchParams(given) : path;
}

/** pages reads a list page by page: each call returns the next rows, and
 * whether more follow. */
export function pages(path) {
  let next = path;
  return async () => {
    const { body } = await get(next);
    // The service may know itself by another name than this page does.
    next = body.next && new URL(body.next).search && path.split("?")[0] + new URL(body.next).search;
    return { rows: body.results, more: Boolean(next) };
  };
}

/** all reads a whole list; for lists that stay short in a practice. */
export async function all(path) {
  const rows = [];
  const read = pages(query(path, { page_size: 100 }));
  for (let page = { more: true }; page.more;) {
    page = await read();
    rows.push(...page.rows);
  }
  return rows;
}
