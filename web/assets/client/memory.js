/** What outlives a reload: JSON in localStorage, or in this process where there is none. */

/** @typedef {import("./http.js").Ticket} Ticket */
/** @typedef {import("./http.js").Claim} Claim */

import { parsed, readTicket, record } from "./http.js";

/** No sale lets one buyer hold more tickets. */
const MOST_CLAIMS = 8;

/**
 * @typedef {object} Attempt what a buyer last asked for in one round of a sale
 * @property {string} buyer
 * @property {string | null} key the request id; null when the server refused it for good
 * @property {boolean} answered whether `key` has its ticket, the last of `claims`
 * @property {number} units
 * @property {number} at when it was begun, on the server's clock
 * @property {Claim[]} claims the buyer's tickets in that round
 */

export class Memory {
  #prefix;
  /** @type {Map<string, string>} */
  #here = new Map();
  #storage = storage();

  /** @param {string} base */
  constructor(base) {
    this.#prefix = `dibs ${base} `;
  }

  /** @returns {string | null} the guest's JWT */
  get guest() {
    return this.#get("guest");
  }

  set guest(jwt) {
    this.#set("guest", jwt);
  }

  /**
   * @param {string} sale
   * @param {string} round
   * @returns {Attempt | null}
   */
  attempt(sale, round) {
    const text = this.#get(`claim ${sale} ${round}`) ?? "";
    const { buyer, key, answered, units, at, claims } = record(parsed(text));
    if (typeof buyer !== "string" || !Array.isArray(claims)) return null;
    return {
      buyer, key: typeof key === "string" ? key : null, answered: answered === true,
      units: Number(units), at: Number(at),
      claims: claims.flatMap((it) => {
        const { token, stream } = record(it);
        const ticket = readTicket(record(it).ticket);
        return ticket && typeof token === "string" && typeof stream === "string"
          ? [{ ticket, token, stream }] : [];
      }),
    };
  }

  /**
   * Forgets the sale's other rounds, so that a sale that recurs keeps one entry.
   * @param {string} sale
   * @param {string} round
   */
  forgetOthers(sale, round) {
    for (const name of this.#names()) {
      if (name.startsWith(`claim ${sale} `) && name !== `claim ${sale} ${round}`) this.#set(name, null);
    }
  }

  /**
   * Keeps the attempt, or forgets it when nothing is left of it.
   * @param {string} sale
   * @param {string} round
   * @param {Attempt} attempt
   */
  keep(sale, round, attempt) {
    const name = `claim ${sale} ${round}`;
    const claims = attempt.claims.slice(-MOST_CLAIMS);
    const empty = attempt.key === null && claims.length === 0;
    this.#set(name, empty ? null : JSON.stringify({ ...attempt, claims }));
  }

  /**
   * Puts a newer version in the place of an older one.
   * @param {Ticket} ticket
   */
  renew(ticket) {
    const attempt = this.attempt(ticket.sale, ticket.round);
    const claim = attempt?.claims.find((it) => it.ticket.id === ticket.id);
    if (!attempt || !claim || claim.ticket.version >= ticket.version) return;
    claim.ticket = ticket;
    this.keep(ticket.sale, ticket.round, attempt);
  }

  /**
   * Forgets a ticket that the server does not know.
   * @param {Ticket} ticket
   */
  forget(ticket) {
    const attempt = this.attempt(ticket.sale, ticket.round);
    if (!attempt) return;
    const claims = attempt.claims.filter((it) => it.ticket.id !== ticket.id);
    this.keep(ticket.sale, ticket.round, { ...attempt, key: null, claims });
  }

  #names() {
    const kept = Object.keys(this.#storage ?? {}).filter((it) => it.startsWith(this.#prefix));
    return [...kept.map((it) => it.slice(this.#prefix.length)), ...this.#here.keys()];
  }

  /** @param {string} name */
  #get(name) {
    return this.#here.get(name) ?? this.#storage?.getItem(this.#prefix + name) ?? null;
  }

  /** @param {string} name @param {string | null} value null forgets it */
  #set(name, value) {
    this.#here.delete(name);
    try {
      if (value === null) this.#storage?.removeItem(this.#prefix + name);
      else if (this.#storage) this.#storage.setItem(this.#prefix + name, value);
      else this.#here.set(name, value);
    } catch {
      // Full or forbidden: then it lives as long as the page.
      if (value !== null) this.#here.set(name, value);
    }
  }
}

function storage() {
  try {
    return typeof localStorage === "undefined" ? null : localStorage;
  } catch {
    return null; // the browser is told to let pages keep nothing
  }
}
