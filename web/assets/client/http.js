/**
 * One request with its deadline, what can be wrong with the answer, and how long to wait before
 * asking again.
 */

/** What went wrong: a problem document of the server's, or no usable answer at all. */
export class DibsError extends Error {
  /**
   * @param {string} type last segment of the problem's type, such as `sold-out`; `no-answer` when
   *   nothing usable came back
   * @param {string} message
   * @param {{status?: number, document?: Record<string, unknown>, retryAfterMs?: number}} [about]
   */
  constructor(type, message, about = {}) {
    super(message);
    this.name = "DibsError";
    this.type = type;
    /** HTTP status, 0 without an answer. */
    this.status = about.status ?? 0;
    /** The problem document, `{}` without one. */
    this.document = about.document ?? {};
    /** What the server's Retry-After said, in ms. */
    this.retryAfterMs = about.retryAfterMs;
    /** On `limit-reached`: the tickets that the buyer holds already. @type {Claim[]} */
    this.held = [];
  }

  /** Whether the same request may be answered later. */
  get retryable() {
    return this.status === 0 || this.status >= 500 || [408, 425, 429].includes(this.status);
  }
}

/**
 * @typedef {object} Ticket
 * @property {string} id
 * @property {string} sale
 * @property {string} round
 * @property {number} units
 * @property {string} status `pending`, `confirmed`, `rejected`, or a later stage
 * @property {string | null} reason why it was rejected
 * @property {number} version rises with each change
 * @property {boolean} final
 * @property {string | null} granted_at RFC 3339
 * @property {string | null} decided_at RFC 3339
 *
 * @typedef {object} Claim
 * @property {Ticket} ticket
 * @property {string} token the right to read the ticket; keep it out of addresses and logs
 * @property {string} stream address of the WebSocket
 *
 * @typedef {object} Answer
 * @property {number} status
 * @property {Headers} headers
 * @property {unknown} body parsed JSON, null without a body
 */

/**
 * Sends one request. Rejects with a DibsError for any status from 400 on and for no answer within
 * `timeoutMs`, with the signal's reason when that is aborted.
 *
 * @param {string} url
 * @param {{method?: string, bearer?: string, headers?: Record<string, string>, json?: unknown,
 *   timeoutMs?: number, signals?: (AbortSignal | undefined)[]}} [options]
 * @returns {Promise<Answer>}
 */
export async function request(url, options = {}) {
  const { method = "GET", bearer, json, timeoutMs = 10_000, signals = [] } = options;
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", ...options.headers };
  if (bearer !== undefined) headers.Authorization = `Bearer ${bearer}`;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  const body = json === undefined ? undefined : JSON.stringify(json);
  const limit = bounded(timeoutMs, signals);
  try {
    const response = await fetch(url, {
      method, headers, body, signal: limit.signal,
      cache: method === "GET" && !headers.Authorization ? "default" : "no-store",
      credentials: "omit", referrerPolicy: "no-referrer",
    });
    const text = await response.text();
    return answered(response, text);
  } catch (error) {
    for (const signal of signals) signal?.throwIfAborted();
    throw error instanceof DibsError ? error : new DibsError("no-answer", `no answer from ${url}`);
  } finally {
    limit.done();
  }
}

/**
 * @param {Response} response
 * @param {string} text
 * @returns {Answer}
 */
function answered(response, text) {
  const { status, headers } = response;
  const body = status === 304 || text === "" ? null : parsed(text);
  if (status < 400) {
    if (body === undefined) throw new DibsError("no-answer", "the answer is not JSON");
    return { status, headers, body };
  }
  const document = record(body);
  const type = typeof document.type === "string" ? document.type.split("/").pop() : undefined;
  const detail = [document.detail, document.title].find((it) => typeof it === "string");
  const seconds = Number(headers.get("Retry-After") ?? NaN);
  const retryAfterMs = seconds >= 0 ? Math.min(seconds, 120) * 1000 : undefined;
  throw new DibsError(type || "unavailable", String(detail ?? `status ${status}`), {
    status, document, retryAfterMs,
  });
}

/** @param {string} text @returns {unknown} undefined when it is no JSON */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {unknown} value @returns {Record<string, unknown>} the object, or an empty one */
export function record(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? /** @type {Record<string, unknown>} */ (value) : {};
}

/** @param {unknown} value @returns {Ticket | null} null when it is no ticket */
export function readTicket(value) {
  const { id, sale, round, units, status, reason, version, final, granted_at, decided_at } =
    record(value);
  if (typeof id !== "string" || typeof sale !== "string" || typeof status !== "string") return null;
  if (!Number.isSafeInteger(version) || typeof final !== "boolean") return null;
  return {
    id, sale, status, final, version: Number(version), round: String(round), units: Number(units),
    reason: typeof reason === "string" ? reason : null,
    granted_at: typeof granted_at === "string" ? granted_at : null,
    decided_at: typeof decided_at === "string" ? decided_at : null,
  };
}

/**
 * The pause before try `n`, in ms, spread at random so that a crowd does not come back as one.
 * @param {number} n
 */
export function backoff(n) {
  return Math.min(20_000, 500 + Math.random() * Math.min(20_000, 500 * 2 ** n));
}

/**
 * The pause after a failure: what the server asked for and a little more, else the backoff.
 * @param {unknown} error
 * @param {number} n
 */
export function pauseAfter(error, n) {
  const asked = error instanceof DibsError ? error.retryAfterMs : undefined;
  return asked ? asked * (1 + Math.random() / 2) : backoff(n);
}

/**
 * Resolves after `ms`; rejects with the reason of the first signal that is aborted.
 * @param {number} ms
 * @param {(AbortSignal | undefined)[]} signals
 */
export async function sleep(ms, signals) {
  const limit = bounded(ms, signals);
  try {
    await new Promise((resolve) => {
      if (limit.signal.aborted) resolve(undefined);
      limit.signal.addEventListener("abort", resolve, { once: true });
    });
    for (const signal of signals) signal?.throwIfAborted();
  } finally {
    limit.done();
  }
}

/**
 * A signal that is aborted with the first of `signals`, or after `ms`. Call `done` in the end.
 * @param {number} ms
 * @param {(AbortSignal | undefined)[]} signals
 */
function bounded(ms, signals) {
  const both = new AbortController();
  const stop = () => both.abort();
  const timer = setTimeout(stop, ms);
  for (const signal of signals) {
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop);
  }
  const done = () => {
    clearTimeout(timer);
    for (const signal of signals) signal?.removeEventListener("abort", stop);
  };
  return { signal: both.signal, done };
}
