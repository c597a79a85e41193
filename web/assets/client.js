/**
 * The buyer's side of Dibs, for browsers and for Node 20 and later.
 *
 *     import { Dibs } from "/client.js";
 *     const dibs = new Dibs({ auth: async () => (await fetch("/my/jwt")).text() });
 *     const claim = await dibs.claim("sneaker-drop");
 *     for await (const ticket of dibs.watch(claim)) show(ticket);   // ends after the final result
 */

import { ServerClock, onWake } from "./client/clock.js";
import { DibsError, parsed, pauseAfter, readTicket, record, request, sleep } from "./client/http.js";
import { Memory } from "./client/memory.js";
import { watch } from "./client/watch.js";

export { DibsError };

/** @typedef {import("./client/http.js").Ticket} Ticket */
/** @typedef {import("./client/http.js").Claim} Claim */
/** @typedef {import("./client/watch.js").Link} Link */

/**
 * @typedef {object} Sale
 * @property {string} id
 * @property {string} name plain text: never put it into HTML
 * @property {string} round
 * @property {number | null} opens_at ms since 1970 on the server's clock
 * @property {number | null} closes_at null when it stays open
 * @property {string} state `upcoming`, `open`, `sold_out` or `closed`, up to some seconds old
 * @property {number} limit the most units that one buyer may have
 *
 * @typedef {object} Options
 * @property {string} [base] the server's address; by default the page's own
 * @property {(ask: {renew: boolean}) => Promise<string>} [auth] gives the buyer's JWT, a new one when
 *   `renew` says that the last was refused; without it the buyer is a guest, known to this browser alone
 */

const CLAIM_MS = 10_000;

export class Dibs {
  #base;
  #auth;
  #memory;
  #clock = new ServerClock();
  /** @type {Promise<void> | null} */
  #syncing = null;
  /** Claims under way, by sale: ten taps are one claim. @type {Map<string, Promise<Claim>>} */
  #claiming = new Map();

  /** @param {Options} [options] */
  constructor({ base = globalThis.location?.origin, auth } = {}) {
    if (!base) throw new TypeError("Dibs needs `base`, the server's address");
    this.#base = new URL(base).href.replace(/\/+$/, "");
    this.#auth = auth;
    this.#memory = new Memory(this.#base);
  }

  /** Milliseconds since 1970 on the server's clock, as well as it is known. */
  now() {
    return this.#clock.now();
  }

  /** Reads the server's clock; call it again when the page wakes up (`onWake`). */
  sync() {
    this.#syncing ??= this.#clock.sync(async () => {
      const { body } = await this.#get("/v1/now", undefined, 5_000);
      const now = instant(record(body).now);
      if (now === null) throw new DibsError("no-answer", "the server's clock cannot be read");
      return now;
    }).finally(() => { this.#syncing = null; });
    return this.#syncing;
  }

  /**
   * Calls `woken` when the page is shown again or the network is back, until `signal` ends it.
   * @param {(long: boolean) => void} woken `long`: after so long a sleep the clock must be read again
   * @param {AbortSignal} signal
   */
  onWake(woken, signal) {
    onWake(woken, signal);
  }

  /**
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Sale[]>}
   */
  async sales({ signal } = {}) {
    const { body } = await this.#get("/v1/sales", signal);
    const list = Array.isArray(body) ? body : record(body).sales;
    if (!Array.isArray(list)) throw new DibsError("no-answer", "the list of sales cannot be read");
    return list.flatMap((it) => readSale(it) ?? []);
  }

  /**
   * One sale. The first call also reads the server's clock.
   * @param {string} id
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Sale>}
   */
  async sale(id, { signal } = {}) {
    const synced = this.#clock.known ? undefined : this.sync();
    const [{ body }] = await Promise.all([
      this.#get(`/v1/sales/${encodeURIComponent(id)}`, signal), synced,
    ]);
    const sale = readSale(body);
    if (!sale) throw new DibsError("no-answer", "the sale cannot be read");
    return sale;
  }

  /**
   * Claims units of a sale; asks again until the server has said yes or no. The same claim, however
   * often it is made, in whatever tab, before or after a reload, gives the same ticket. Rejects with
   * a DibsError such as `not-open`, `closed`, `sold-out`, `too-few-left`, or `limit-reached` with
   * the tickets that are `held`. After a rejected ticket it is a new claim.
   *
   * @param {Sale | string} sale
   * @param {object} [options]
   * @param {number} [options.units]
   * @param {boolean} [options.another] a further claim beside a confirmed one
   * @param {AbortSignal} [options.signal]
   * @param {(error: DibsError) => void} [options.onwait] told why it must ask again
   * @returns {Promise<Claim>}
   */
  claim(sale, options = {}) {
    const id = typeof sale === "string" ? sale : sale.id;
    const running = this.#claiming.get(id);
    if (running) return running;
    const claimed = this.#claimOnce(sale, options).finally(() => this.#claiming.delete(id));
    this.#claiming.set(id, claimed);
    return claimed;
  }

  /**
   * What this browser knows of the buyer's claims in the sale's present round, without asking the
   * server. `unanswered` is an attempt that got no answer yet: claiming again finds out.
   *
   * @param {Sale} sale
   * @returns {Promise<{claims: Claim[], unanswered: {units: number, at: number} | null}>}
   */
  async held(sale) {
    const attempt = this.#memory.attempt(sale.id, sale.round);
    if (!attempt || attempt.buyer !== (await this.#buyer())) return { claims: [], unanswered: null };
    const { key, answered, units, at, claims } = attempt;
    return { claims, unanswered: key === null || answered ? null : { units, at } };
  }

  /**
   * Reads a claim's ticket. A ticket that the server does not know is forgotten here too.
   * @param {Claim} claim
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Ticket>}
   */
  async ticket(claim, { signal } = {}) {
    try {
      const url = this.#ticketUrl(claim.ticket.id);
      const headers = { "If-None-Match": `"${claim.ticket.version}"` };
      const { body } = await request(url, { bearer: claim.token, headers, signals: [signal] });
      const ticket = body === null ? claim.ticket : readTicket(body);
      if (!ticket) throw new DibsError("no-answer", "the ticket cannot be read");
      this.#memory.renew(ticket);
      return ticket;
    } catch (error) {
      this.#forgetUnknown(error, claim);
      throw error;
    }
  }

  /**
   * Yields the claim's ticket and then each newer version, until the final one. Results come over
   * WebSocket, or by polling where that cannot be had; lost connections are made again.
   *
   * @param {Claim} claim
   * @param {{signal?: AbortSignal, onlink?: (link: Link) => void}} [options]
   * @returns {AsyncGenerator<Ticket, void, void>}
   */
  async *watch(claim, options = {}) {
    try {
      for await (const ticket of watch(this.#ticketUrl(claim.ticket.id), claim, options)) {
        this.#memory.renew(ticket);
        yield ticket;
      }
    } catch (error) {
      this.#forgetUnknown(error, claim);
      throw error;
    }
  }

  /**
   * @param {Sale | string} named
   * @param {{units?: number, another?: boolean, signal?: AbortSignal,
   *   onwait?: (error: DibsError) => void}} options
   * @returns {Promise<Claim>}
   */
  async #claimOnce(named, { units = 1, another = false, signal, onwait }) {
    const sale = typeof named === "string" ? await this.sale(named, { signal }) : named;
    let renew = false;
    let renewed = false;
    for (let tries = 0; ; tries++) {
      try {
        const jwt = await this.#jwt(renew, signal);
        // A guest who is renewed again is another buyer, and would lose what this one was granted.
        renew = false;
        return await this.#ask(sale, units, another, jwt, signal);
      } catch (error) {
        if (!(error instanceof DibsError)) throw error;
        if (error.status === 401 && !renewed) {
          renew = renewed = true;
          continue;
        }
        if (!error.retryable) throw error;
        onwait?.(error);
        await this.#pause(pauseAfter(error, tries), signal);
      }
    }
  }

  /**
   * Asks once, under the key of the attempt at hand. What the server refuses for good ends it.
   * @param {Sale} sale
   * @param {number} units
   * @param {boolean} another
   * @param {string} jwt
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<Claim>}
   */
  async #ask(sale, units, another, jwt, signal) {
    const attempt = this.#begin(sale, units, another, this.#subject(jwt));
    const url = `${this.#base}/v1/sales/${encodeURIComponent(sale.id)}/tickets`;
    try {
      const { body } = await request(url, {
        method: "POST", bearer: jwt, json: { units: attempt.units, round: sale.round },
        headers: { "Idempotency-Key": attempt.key }, timeoutMs: CLAIM_MS, signals: [signal],
      });
      const claim = this.#readClaim(body);
      if (!claim) throw new DibsError("no-answer", "the claim's answer cannot be read");
      const others = attempt.claims.filter((it) => it.ticket.id !== claim.ticket.id);
      const claims = [...others, claim];
      this.#memory.keep(sale.id, sale.round, { ...attempt, answered: true, claims });
      return claim;
    } catch (error) {
      if (error instanceof DibsError && !error.retryable && error.status !== 401) {
        error.held = this.#readHeld(error.document.held);
        const claims = error.held.length > 0 ? error.held : attempt.claims;
        this.#memory.keep(sale.id, sale.round, { ...attempt, key: null, claims });
      }
      throw error;
    }
  }

  /**
   * The attempt under way, or a new one; it is kept before it is sent.
   * @param {Sale} sale
   * @param {number} units
   * @param {boolean} another
   * @param {string} buyer
   */
  #begin(sale, units, another, buyer) {
    const known = this.#memory.attempt(sale.id, sale.round);
    const before = known?.buyer === buyer ? known : null;
    const last = before?.claims.at(-1)?.ticket;
    const over = before?.answered && (last?.status === "rejected" || (another && last?.final));
    if (before && before.key !== null && !over) return { ...before, key: before.key };
    const claims = before?.claims ?? [];
    const attempt = { buyer, key: requestId(), answered: false, units, at: this.now(), claims };
    this.#memory.forgetOthers(sale.id, sale.round);
    this.#memory.keep(sale.id, sale.round, attempt);
    return attempt;
  }

  /**
   * @param {boolean} renew
   * @param {AbortSignal} [signal]
   * @returns {Promise<string>}
   */
  async #jwt(renew, signal) {
    if (this.#auth) return this.#auth({ renew });
    const before = this.#memory.guest;
    if (before && !renew) return before;
    const url = `${this.#base}/v1/guests`;
    const { body } = await request(url, { method: "POST", signals: [signal] }).catch((error) => {
      if (!(error instanceof DibsError) || error.status !== 404) throw error;
      throw new DibsError("unauthenticated", "this shop takes no guests", { status: 401 });
    });
    // Another tab may have been faster: one browser is one guest.
    const kept = this.#memory.guest;
    if (kept && kept !== before) return kept;
    const { token } = record(body);
    if (typeof token !== "string") throw new DibsError("no-answer", "the guest cannot be read");
    this.#memory.guest = token;
    return token;
  }

  async #buyer() {
    return this.#auth ? this.#subject(await this.#auth({ renew: false })) : "guest";
  }

  /** Whose JWT it is; only to keep two buyers of one browser apart. @param {string} jwt */
  #subject(jwt) {
    if (!this.#auth) return "guest";
    const claims = (jwt.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    try {
      return String(record(parsed(atob(claims))).sub);
    } catch {
      return "";
    }
  }

  /**
   * The tickets that a refusal names, with their tokens.
   * @param {unknown} held
   * @returns {Claim[]}
   */
  #readHeld(held) {
    if (!Array.isArray(held)) return [];
    return held.flatMap((it) => this.#readClaim(it) ?? []);
  }

  /** @param {unknown} body @returns {Claim | null} */
  #readClaim(body) {
    const { token, stream } = record(body);
    const ticket = readTicket(record(body).ticket);
    if (!ticket || typeof token !== "string") return null;
    const address = new URL(typeof stream === "string" ? stream : "/v1/ws", this.#base);
    // Behind a front door with TLS a server may not know that it is spoken to over TLS.
    const secure = this.#base.startsWith("https:") || address.protocol === "wss:";
    address.protocol = secure ? "wss:" : "ws:";
    return { ticket, token, stream: address.href };
  }

  /**
   * @param {unknown} error
   * @param {Claim} claim
   */
  #forgetUnknown(error, claim) {
    if (error instanceof DibsError && error.type === "not-found") this.#memory.forget(claim.ticket);
  }

  /** Waits, but not when the page wakes up. @param {number} ms @param {AbortSignal} [signal] */
  async #pause(ms, signal) {
    const woken = new AbortController();
    onWake((long) => long && woken.abort(), woken.signal);
    try {
      await sleep(ms, [signal, woken.signal]);
    } catch (error) {
      if (signal?.aborted || !woken.signal.aborted) throw error;
    } finally {
      woken.abort();
    }
  }

  /** @param {string} id */
  #ticketUrl(id) {
    return `${this.#base}/v1/tickets/${encodeURIComponent(id)}`;
  }

  /** @param {string} path @param {AbortSignal} [signal] @param {number} [timeoutMs] */
  #get(path, signal, timeoutMs) {
    return request(this.#base + path, { signals: [signal], timeoutMs });
  }
}

/** @param {unknown} value @returns {Sale | null} null when it is no sale */
function readSale(value) {
  const { id, name, round, opens_at, closes_at, state, limit } = record(value);
  if (typeof id !== "string" || typeof state !== "string") return null;
  return {
    id, state, name: typeof name === "string" && name ? name : id,
    round: String(round), limit: Math.max(1, Math.trunc(Number(limit)) || 1),
    opens_at: instant(opens_at), closes_at: instant(closes_at),
  };
}

/** @param {unknown} value ms since 1970, or RFC 3339 @returns {number | null} */
function instant(value) {
  const ms = typeof value === "string" ? Date.parse(value) : Number(value ?? NaN);
  return Number.isFinite(ms) ? ms : null;
}

/** 128 random bits; `crypto.randomUUID` is not there on pages without TLS. */
function requestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
