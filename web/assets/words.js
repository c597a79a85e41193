/** Times, reasons and states in words. */

/** @typedef {import("./client.js").Ticket} Ticket */

const DATE = new Intl.DateTimeFormat(undefined, {
  weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit",
  timeZoneName: "short",
});
const TIME = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3,
  hourCycle: "h23",
});

/** @param {number} ms @returns {string} day and time where the reader is */
export function dateText(ms) {
  return DATE.format(ms);
}

/** @param {string | null} instant RFC 3339 @returns {string} time of day to the millisecond */
export function timeText(instant) {
  const ms = Date.parse(instant ?? "");
  return Number.isNaN(ms) ? "" : TIME.format(ms);
}

/**
 * A span of time in its units, from the largest that counts; minutes and seconds always.
 * @param {number} ms
 * @returns {{value: string, unit: string}[]}
 */
export function spanParts(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const parts = [
    { unit: "days", value: Math.floor(seconds / 86_400) },
    { unit: "hours", value: Math.floor(seconds / 3600) % 24 },
    { unit: "min", value: Math.floor(seconds / 60) % 60 },
    { unit: "sec", value: seconds % 60 },
  ];
  const first = Math.min(2, Math.max(0, parts.findIndex((part) => part.value > 0)));
  const from = seconds === 0 ? 2 : first;
  return parts.slice(from).map(({ unit, value }, place) => ({
    unit, value: place === 0 && unit === "days" ? String(value) : String(value).padStart(2, "0"),
  }));
}

/** @param {number} ms @returns {string} such as 1:02:03 */
export function clockText(ms) {
  return spanParts(ms).map((part) => part.value).join(":").replace(/^0(?=\d)/, "");
}

/** @param {string} id @returns {string} its end, where two tickets of one sale differ */
export function shortId(id) {
  return id.slice(-8);
}

/** @type {Record<string, string>} */
const REASONS = {
  sold_out: "The last one went to somebody ahead of you in line.",
  limit: "You hold as many as one buyer may have.",
  unprocessable: "This claim could not be processed. Nothing was taken.",
  deadline: "It could not be decided in time. Nothing was taken.",
};

/** @param {string | null} reason */
export function reasonText(reason) {
  return REASONS[reason ?? ""] ?? "The claim was not confirmed.";
}

/** @param {string} type of the refusal @returns {string} why a claim is asked again */
export function waitText(type) {
  if (type === "recovering") return "The sale is being put in order. Still asking, nothing is lost.";
  return type === "busy" ? "The server is busy, still asking." : "No answer yet, still asking.";
}

/** @param {Ticket} ticket @returns {string} the ticket's status as its heading */
export function statusText({ status }) {
  if (status === "pending") return "In line";
  if (status === "rejected") return "Not this time";
  return status.charAt(0).toUpperCase() + status.slice(1);
}

/**
 * What a sale is at `now`: what the server said, carried on by the clock.
 * @param {import("./client.js").Sale} sale
 * @param {number} now
 * @returns {"upcoming" | "open" | "sold_out" | "closed"}
 */
export function stateOf(sale, now) {
  if (sale.state === "closed" || (sale.closes_at !== null && now >= sale.closes_at)) return "closed";
  if (sale.state === "sold_out") return "sold_out";
  return sale.opens_at !== null && now < sale.opens_at ? "upcoming" : "open";
}

/**
 * Whether it is the sale that a first start makes, and not a merchant's own of the same id.
 * @param {{id: string, name: string}} sale
 */
export function isDemo(sale) {
  return sale.id === "demo" && sale.name.startsWith("Demo: ");
}
