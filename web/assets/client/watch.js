/** Following one ticket to its final result: WebSocket, else long-poll, else plain polling. */

import { onWake } from "./clock.js";
import { DibsError, backoff, parsed, pauseAfter, readTicket, record, request, sleep } from "./http.js";

/** @typedef {import("./http.js").Ticket} Ticket */
/** @typedef {import("./http.js").Claim} Claim */
/** @typedef {"socket" | "polling" | "lost"} Link how results come at present */

const CONNECT_MS = 5_000;
const FIRST_FRAME_MS = 10_000;
const UNWELCOME_MS = 3_000;
const STEADY_MS = 10_000;
const LONG_POLL_S = 25;
/** Close codes after which coming back would only be closed again. */
const STAY_AWAY = [1002, 1003, 1007, 1008, 1009];

/**
 * Yields the claim's ticket and then each newer version, never one twice and never an older one;
 * ends after the final one. Rejects with a DibsError `not-found` when the token opens no ticket,
 * and with the signal's reason when that is aborted; every other failure is tried again.
 *
 * @param {string} url address of the ticket
 * @param {Claim} claim
 * @param {{signal?: AbortSignal, onlink?: (link: Link) => void}} options
 * @returns {AsyncGenerator<Ticket, void, void>}
 */
export async function* watch(url, claim, options) {
  const stop = new AbortController();
  const forward = () => stop.abort(options.signal?.reason);
  options.signal?.addEventListener("abort", forward);
  if (options.signal?.aborted) forward();
  const latest = new Latest(claim.ticket);
  const follower = new Follower(url, claim, latest, stop.signal, options.onlink);
  const followed = follower.run().then(() => latest.end(), (error) => latest.fail(error));
  try {
    for (;;) {
      const ticket = await latest.next();
      if (ticket === null) return;
      yield ticket;
    }
  } finally {
    options.signal?.removeEventListener("abort", forward);
    stop.abort(new DOMException("the watch has ended", "AbortError"));
    await followed;
  }
}

/** The newest version: a reader who is slow skips versions, and nothing piles up. */
class Latest {
  #fresh = true;
  #ended = false;
  /** @type {{error: unknown} | null} */
  #failure = null;
  #wake = () => {};

  /** @param {Ticket} ticket */
  constructor(ticket) {
    this.ticket = ticket;
  }

  /** @param {Ticket | null} ticket @returns {boolean} whether it was newer */
  offer(ticket) {
    if (ticket?.id !== this.ticket.id || ticket.version <= this.ticket.version) return false;
    this.ticket = ticket;
    this.#fresh = true;
    this.#wake();
    return true;
  }

  end() {
    this.#ended = true;
    this.#wake();
  }

  /** @param {unknown} error */
  fail(error) {
    this.#failure = { error };
    this.#wake();
  }

  /** @returns {Promise<Ticket | null>} null at the end */
  async next() {
    while (!this.#fresh) {
      if (this.#failure) throw this.#failure.error;
      if (this.#ended) return null;
      await new Promise((resolve) => { this.#wake = () => resolve(undefined); });
    }
    this.#fresh = false;
    return this.ticket;
  }
}

/** Whoever keeps `latest` new until it is final. */
class Follower {
  #url;
  #claim;
  #latest;
  #signal;
  #onlink;
  #barred = typeof WebSocket === "undefined";
  /** @type {Link | null} */
  #link = null;
  /** Aborted and replaced whenever the page wakes up. */
  #nap = new AbortController();
  /** What a socket in use does when the page wakes up. @type {((long: boolean) => void) | null} */
  #onwake = null;

  /**
   * @param {string} url
   * @param {Claim} claim
   * @param {Latest} latest
   * @param {AbortSignal} signal
   * @param {((link: Link) => void) | undefined} onlink
   */
  constructor(url, claim, latest, signal, onlink) {
    this.#url = url;
    this.#claim = claim;
    this.#latest = latest;
    this.#signal = signal;
    this.#onlink = onlink;
  }

  async run() {
    if (this.#done) return;
    this.#signal.throwIfAborted();
    onWake((long) => this.#woken(long), this.#signal);
    let refused = 0;
    let tries = 0;
    while (!this.#done) {
      if (this.#barred || refused >= 2) {
        const until = this.#barred ? Infinity : performance.now() + 45_000 + Math.random() * 30_000;
        await this.#poll(until);
        refused = 1;
        continue;
      }
      const ended = await this.#socket();
      refused = ended.welcomed ? 0 : refused + 1;
      // A server that takes connections only to drop them must not be asked ever faster.
      tries = ended.steady ? 0 : tries + 1;
      if (!this.#done && !this.#barred && refused < 2) {
        await this.#pause(ended.pauseMs ?? backoff(tries));
      }
    }
  }

  get #done() {
    return this.#latest.ticket.final;
  }

  /** @param {boolean} long */
  #woken(long) {
    if (this.#onwake) this.#onwake(long);
    else this.#nap.abort();
    this.#nap = new AbortController();
  }

  /** @param {Link} link */
  #report(link) {
    if (this.#link === link) return;
    this.#link = link;
    this.#onlink?.(link);
  }

  /** Waits, but not longer than the page sleeps. @param {number} ms */
  async #pause(ms) {
    const nap = this.#nap.signal;
    try {
      await sleep(ms, [this.#signal, nap]);
    } catch (error) {
      if (this.#signal.aborted || !nap.aborted) throw error;
    }
  }

  /**
   * One connection, from its opening to its end.
   * @returns {Promise<Ended>}
   */
  async #socket() {
    this.#signal.throwIfAborted();
    /** @type {WebSocket} */
    let socket;
    try {
      socket = new WebSocket(this.#claim.stream, ["dibs.v1"]);
    } catch {
      this.#barred = true;
      return { welcomed: false, steady: false };
    }
    const over = new AbortController();
    try {
      return await new Promise((resolve, reject) => this.#converse(socket, over.signal, resolve, reject));
    } finally {
      over.abort();
      this.#onwake = null;
      socket.close();
    }
  }

  /**
   * @param {WebSocket} socket
   * @param {AbortSignal} over aborted when this connection no longer counts
   * @param {(ended: Ended) => void} resolve
   * @param {(error: unknown) => void} reject
   */
  #converse(socket, over, resolve, reject) {
    let welcomedAt = NaN;
    const end = (/** @type {number} */ pauseMs = NaN) => resolve({
      welcomed: welcomedAt > 0,
      steady: performance.now() - welcomedAt > STEADY_MS,
      pauseMs: pauseMs >= 0 ? pauseMs : undefined,
    });
    const timers = new Timers(over);
    const on = { signal: over };
    const check = () => this.#check(over).then((newer) => newer && end(0), reject);
    // Pings are invisible here, and a middlebox may swallow frames: silence is looked into.
    const probe = (/** @type {number} */ ms) => timers.set("probe", ms, () => {
      probe(30_000 + Math.random() * 15_000);
      void check();
    });
    probe(UNWELCOME_MS);
    this.#signal.addEventListener("abort", () => reject(this.#signal.reason), on);
    this.#onwake = (long) => void check().then(() => long && end(Math.random() * 300));
    timers.set("patience", CONNECT_MS, end);
    socket.addEventListener("open", () => {
      timers.set("patience", FIRST_FRAME_MS, end);
      socket.send(JSON.stringify({ type: "watch", tokens: [this.#claim.token] }));
    }, on);
    socket.addEventListener("message", (event) => {
      const frame = record(typeof event.data === "string" ? parsed(event.data) : null);
      if (frame.type === "ticket") {
        const ticket = readTicket(frame.ticket);
        if (ticket?.id !== this.#claim.ticket.id) return;
        if (!(welcomedAt > 0)) welcomedAt = performance.now();
        timers.clear("patience");
        probe(30_000 + Math.random() * 15_000);
        this.#report("socket");
        this.#latest.offer(ticket);
        if (this.#done) end();
      } else if (frame.type === "drain") {
        const ms = Math.min(60_000, Math.max(0, Number(frame.reconnect_after_ms) || 0));
        timers.set("drain", ms, () => end(0));
        socket.addEventListener("close", () => end(timers.left("drain")), on);
      } else if (frame.type === "error" && frame.code === "not-found") {
        reject(new DibsError("not-found", "this token opens no ticket"));
      } else if (frame.type === "error") {
        this.#barred = true;
        end();
      }
    }, on);
    socket.addEventListener("close", (event) => {
      if (STAY_AWAY.includes(event.code)) this.#barred = true;
      if (!timers.has("drain")) end();
    }, on);
  }

  /**
   * Reads the ticket once; a failure to do so is no news.
   * @param {AbortSignal} over
   * @returns {Promise<boolean>} whether it was newer than what the socket brought
   */
  async #check(over) {
    try {
      return (await this.#ask(0, over)).newer;
    } catch (error) {
      if (error instanceof DibsError && !error.retryable) throw error;
      return false;
    }
  }

  /**
   * Asks over and over until the ticket is final or it is time to try a socket again.
   * @param {number} until on the monotonic clock
   */
  async #poll(until) {
    let held = true;
    let hasty = 0;
    let failures = 0;
    while (!this.#done && performance.now() < until) {
      const nap = this.#nap.signal;
      const asked = performance.now();
      try {
        const { newer, pollAfterMs } = await this.#ask(held ? LONG_POLL_S : 0, nap);
        this.#report("polling");
        // A network that was away explains why the socket failed: try it again soon.
        if (failures > 0) until = Math.min(until, performance.now() + Math.random() * 10_000);
        failures = 0;
        if (this.#done || (newer && held)) continue;
        const waited = held && performance.now() - asked > LONG_POLL_S * 200;
        if (held && !waited && ++hasty >= 2) held = false;
        if (!waited) await this.#pause(pollAfterMs * (1 + Math.random() / 4));
      } catch (error) {
        if (this.#signal.aborted || (error instanceof DibsError && !error.retryable)) throw error;
        if (nap.aborted) continue;
        failures += 1;
        if (failures >= 2) held = false;
        if (error instanceof DibsError && error.status === 0) this.#report("lost");
        await this.#pause(pauseAfter(error, failures));
      }
    }
  }

  /**
   * @param {number} waitS how long the server may hold the answer
   * @param {AbortSignal} cut
   */
  async #ask(waitS, cut) {
    /** @type {Record<string, string>} */
    const headers = { "If-None-Match": `"${this.#latest.ticket.version}"` };
    if (waitS > 0) headers.Prefer = `wait=${waitS}`;
    const { body, headers: answer } = await request(this.#url, {
      bearer: this.#claim.token, headers, timeoutMs: (waitS + 10) * 1000, signals: [this.#signal, cut],
    });
    const named = Number(answer.get("Dibs-Poll-After-Ms"));
    const pollAfterMs = named > 0 ? Math.min(60_000, Math.max(500, named)) : 3_000;
    return { newer: this.#latest.offer(readTicket(body)), pollAfterMs };
  }
}

/**
 * @typedef {object} Ended how a connection ended
 * @property {boolean} welcomed it brought a ticket
 * @property {boolean} steady and lasted a while
 * @property {number} [pauseMs] when to come back, if the server or the page's waking says so
 */

/** Timers by name that end with a signal. */
class Timers {
  /** @type {Map<string, {id: ReturnType<typeof setTimeout>, due: number}>} */
  #set = new Map();

  /** @param {AbortSignal} over */
  constructor(over) {
    over.addEventListener("abort", () => {
      for (const name of this.#set.keys()) this.clear(name);
    });
  }

  /** @param {string} name @param {number} ms @param {() => void} act */
  set(name, ms, act) {
    this.clear(name);
    this.#set.set(name, { id: setTimeout(() => act(), ms), due: performance.now() + ms });
  }

  /** @param {string} name */
  clear(name) {
    clearTimeout(this.#set.get(name)?.id);
    this.#set.delete(name);
  }

  /** @param {string} name */
  has(name) {
    return this.#set.has(name);
  }

  /** @param {string} name @returns {number} ms until it is due */
  left(name) {
    return Math.max(0, (this.#set.get(name)?.due ?? 0) - performance.now());
  }
}
