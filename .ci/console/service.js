// The service under test: a fresh directory, a staff account, and a client.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const password = "quiet lanterns drift north";

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

/** start serves a new practice, with further settings. */
export async function start(binary, settings = {}) {
  const dir = mkdtempSync(join(tmpdir(), "console-")), port = await freePort();
  const env = { PATH: process.env.PATH, LISTEN: `127.0.0.1:${port}`, LOG_FORMAT: "json", ...settings };
  execFileSync(binary, ["createsuperuser", "--username", "admin", "--email", "admin@example.org", "--password-stdin"], { cwd: dir, env, input: password + "\n", stdio: ["pipe", "ignore", "pipe"] });
  const child = spawn(binary, [], { cwd: dir, env, stdio: ["ignore", "ignore", "pipe"] });
  const log = [];
  child.stderr.on("data", (chunk) => log.push(chunk.toString()));
  const base = `http://127.0.0.1:${port}`;
  for (let i = 0; ; i++) {
    const ready = await fetch(base + "/readyz").then((r) => r.ok, () => false);
    if (ready) break;
    if (i > 200 || child.exitCode !== null) throw new Error("the service does not start: " + log.join(""));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const stop = () => new Promise((resolve) => {
    child.on("exit", () => { rmSync(dir, { recursive: true, force: true }); resolve(); });
    child.kill("SIGTERM");
  });
  const command = (...args) => execFileSync(binary, args, { cwd: dir, env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return { base, stop, log, command, client: (username) => client(base, username) };
}

/** client signs in and returns a function that sends requests. */
async function client(base, username) {
  const send = (token) => async (method, path, body) => {
    const answer = await fetch(base + path, {
      method, headers: { "Content-Type": "application/json", ...(token && { Authorization: "Bearer " + token }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} = ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  };
  if (!username) return send(null);
  const { access } = await send(null)("POST", "/api/token/", { username, password });
  return send(access);
}
