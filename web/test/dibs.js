/** The real binary on a data folder of its own, and a browser, for the tests of this folder. */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const BINARY = process.env.BINARY ?? fileURLToPath(new URL("../../target/debug/dibs", import.meta.url));
const ADMIN_KEY = "an-admin-key-for-the-tests-of-the-page";
const BROWSERS = [
  "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

export function launchBrowser() {
  const executablePath = process.env.CHROMIUM ?? BROWSERS.find((path) => existsSync(path));
  if (!executablePath) {
    throw new Error("the page's tests need Chromium: install it, or name it in CHROMIUM");
  }
  return chromium.launch({ executablePath, args: FLAGS });
}

/** A running server. */
export class Server {
  #process;
  #data;

  static async start() {
    const server = new Server();
    server.#data = await mkdtemp(join(tmpdir(), "dibs-page-"));
    await server.#spawn("127.0.0.1:0");
    return server;
  }

  /** `kill -9`. */
  async kill() {
    await this.#end("SIGKILL");
  }

  /** Starts again, at the same address and on the same data. */
  async restart() {
    await this.#spawn(new URL(this.base).host);
  }

  async stop() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await this.#end("SIGTERM");
    await rm(this.#data, { recursive: true, force: true });
  }

  /**
   * Creates a sale that opens `inMs` from now (in the past if negative).
   * @returns {Promise<{id: string, opensAt: number, page: string}>}
   */
  async sale({ id = `sale-${crypto.randomUUID().slice(0, 8)}`, name = "A test sale", stock = 10,
    limit = 1, inMs = -1000, closesInMs = 3600_000 } = {}) {
    const opensAt = Date.now() + inMs;
    const body = {
      id, name, stock, limit, opens_at: new Date(opensAt).toISOString(),
      closes_at: new Date(Date.now() + closesInMs).toISOString(),
    };
    await this.admin("POST", "/v1/admin/sales", body);
    return { id, opensAt, page: `${this.base}/sales/${id}` };
  }

  /** Waits until what a CDN may carry shows the sale's new state. */
  async says(sale, state) {
    for (const end = Date.now() + 20_000; Date.now() < end;) {
      const shown = await (await fetch(`${this.base}/v1/sales/${sale.id}`)).json();
      if (shown.state === state) return;
    }
    throw new Error(`${sale.id} does not become ${state}`);
  }

  /** The sale's tickets as the admin sees them. */
  async tickets(sale) {
    const { tickets } = await this.admin("GET", `/v1/admin/sales/${sale.id}/tickets`);
    return tickets.map(({ ticket }) => ticket);
  }

  async admin(method, path, body) {
    const response = await fetch(this.base + path, {
      method, body: body && JSON.stringify(body),
      headers: { Authorization: `Bearer ${ADMIN_KEY}`, ...(body && { "Content-Type": "application/json" }) },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  async #spawn(listen) {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("DIBS_"));
    const env = {
      ...Object.fromEntries(own), DIBS_LISTEN: listen, DIBS_OPS_LISTEN: "127.0.0.1:0",
      DIBS_DATA: this.#data, DIBS_ADMIN_KEY: ADMIN_KEY,
    };
    const started = spawn(BINARY, [], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#process = started;
    let said = "";
    await new Promise((resolve, reject) => {
      started.on("error", reject);
      started.on("exit", (code) => reject(new Error(`${BINARY} ended with ${code}:\n${said}`)));
      started.stderr.on("data", (text) => { said = (said + text).slice(-20_000); });
      started.stdout.on("data", (text) => {
        said = (said + text).slice(-20_000);
        const address = /http:\/\/127\.0\.0\.1:\d+(?=\/)/.exec(said);
        if (!address) return;
        this.base = address[0];
        resolve();
      });
    });
  }

  async #end(signal) {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill(signal);
    await ended;
  }
}
