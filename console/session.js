// Who is signed in: the tokens, their renewal, and the other tabs of this
// browser. The tokens rest in memory and in sessionStorage, so that a reload
// does not sign out and closing the tab does.

let tokens = JSON.parse(sessionStorage.getItem("tokens"));
let renewing = null;
const tabs = new BroadcastChannel("session");
const heard = new Set(); // called when another tab says something

/** Ended is thrown when the session is over: one has to sign in again. */
export class Ended extends Error {}

/** Offline is thrown when no answer came. */
export class Offline extends Error {}

const claims = (token) => JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
const issued = (pair) => claims(pair.refresh).iat;

export const signedIn = () => tokens !== null;
export const id = () => tokens && claims(tokens.access).sid;

/** keep takes a pair of tokens as the ones to use from now on. */
export function keep({ access, refresh }) {
  const { exp, iat } = claims(access);
  // The reader's clock may be wrong; the length of the token's life is not.
  tokens = { access, refresh, until: Date.now() + (exp - iat) * 1000 };
  sessionStorage.setItem("tokens", JSON.stringify(tokens));
}

/** forget drops the tokens in this tab. */
export function forget() {
  tokens = null;
  sessionStorage.clear();
}

/** fetch as the browser's, but with no answer it throws Offline. */
export async function ask(path, options) {
  try {
    return await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...options });
  } catch {
    throw new Offline();
  }
}

export const post = (path, body) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

/** access returns a token that is good for some seconds still. */
export async function access() {
  if (!tokens) throw new Ended();
  if (tokens.until - Date.now() < 5000) await renew(tokens.access);
  return tokens.access;
}

/** renew replaces an access token that is over: once, however many ask, in
 * this tab and all others. */
export function renew(stale) {
  const work = () => (tokens?.access === stale ? replace(stale) : undefined);
  const locked = () => (navigator.locks ? navigator.locks.request("renewal", work) : work());
  renewing ??= locked().finally(() => { renewing = null; });
  return renewing;
}

async function replace(stale) {
  await consult("newest"); // a tab that slept has not heard of the renewals since
  if (tokens?.access !== stale) return;
  const answer = await post("/api/token/refresh/", { refresh: tokens.refresh });
  if (answer.status === 401) throw new Ended();
  if (!answer.ok) throw new Offline();
  keep(await answer.json());
  tell({ kind: "tokens", tokens });
}

/** end signs out on the server and in all tabs of this session. */
export async function end() {
  const refresh = tokens?.refresh;
  tell({ kind: "out", session: id() });
  forget();
  if (refresh) await post("/api/token/blacklist/", { refresh }).catch(() => {}); // it ends by itself, later
}

/** join asks the other tabs whether somebody is signed in, for a new tab. */
export const join = () => consult("newest");

const tell = (message) => tabs.postMessage(message);

/** consult asks the other tabs, and waits a moment for the first answer. */
function consult(kind) {
  return new Promise((resolve) => {
    const done = () => { heard.delete(done); resolve(); };
    heard.add(done);
    setTimeout(done, 120);
    tell({ kind, session: id() });
  });
}

/** listen calls back when another tab has ended this session, or is in use. */
export function listen({ ended, used }) {
  tabs.onmessage = ({ data }) => {
    const ours = data.session === id();
    if (data.kind === "newest" && tokens && (ours || !data.session)) tell({ kind: "tokens", tokens });
    if (data.kind === "tokens") adopt(data.tokens);
    if (data.kind === "out" && ours && tokens) { forget(); ended(); }
    if (data.kind === "used") used();
  };
}

export const use = () => tell({ kind: "used" });

/** adopt takes another tab's tokens when they are later ones of this session,
 * or when this tab has just been opened and has none. */
function adopt(theirs) {
  const later = tokens && claims(theirs.access).sid === id() && issued(theirs) > issued(tokens);
  if (later || (!tokens && heard.size > 0)) {
    tokens = theirs;
    sessionStorage.setItem("tokens", JSON.stringify(tokens));
  }
  for (const done of [...heard]) done();
}
