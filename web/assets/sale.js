/** The page of one sale: countdown, claim, result. */

import { Dibs, DibsError } from "./client.js";
import { dateText, isDemo, reasonText, shortId, spanParts, stateOf, statusText, timeText, waitText } from "./words.js";

/** @typedef {import("./client.js").Sale} Sale */
/** @typedef {import("./client.js").Claim} Claim */
/** @typedef {import("./client.js").Ticket} Ticket */

/** An attempt older than this is finished by the buyer's next click, not by a reload. */
const RESUME_MS = 10 * 60_000;
/** A closing time further off than this is no news to a buyer. */
const CLOSING_MS = 48 * 3600_000;

const saleId = decoded(location.pathname.split("/")[2] ?? "");
const dibs = new Dibs();

/** What the page shows is made from this alone. */
const page = {
  /** @type {Sale | null} */
  sale: null,
  /** @type {"loading" | "missing" | "sale" | "claiming" | "ticket" | "limit"} */
  phase: "loading",
  /** @type {Claim[]} */
  claims: [],
  unanswered: false,
  /** What kept the claim waiting last. @type {DibsError | null} */
  waits: null,
  note: "",
};
const due = { refresh: 0, sync: Infinity };
/** @type {ReturnType<typeof setTimeout> | undefined} */
let ticking;

const main = element("main");
const button = /** @type {HTMLButtonElement} */ (element("#claim"));
const units = /** @type {HTMLSelectElement} */ (element("#units"));

/** @param {string} selector @returns {HTMLElement} */
function element(selector) {
  const found = document.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the page lacks ${selector}`);
  return found;
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function state() {
  if (page.phase === "ticket") {
    const status = page.claims.at(-1)?.ticket.status;
    if (status === "pending") return page.unanswered ? "offline" : "pending";
    return status === "rejected" ? "rejected" : "confirmed";
  }
  if (page.phase === "claiming") return page.unanswered ? "offline" : "claiming";
  if (page.phase === "sale" && page.sale) return stateOf(page.sale, dibs.now());
  if (page.phase === "loading" && page.unanswered) return "offline";
  return page.phase;
}

/** @param {string} now the state @returns {[headline: string, detail: string]} */
function words(now) {
  const ticket = page.claims.at(-1)?.ticket;
  switch (now) {
    case "upcoming": return ["", page.note || "Stay here: the button comes alive by itself."];
    case "open": return ["It’s open.", page.note || "First come, first served."];
    case "claiming": return ["Claiming…", page.waits ? waitText(page.waits.type) : ""];
    case "pending": return ["You are in line…", "The result appears here by itself, also if you reload."];
    case "confirmed": return ["Yours!", ticket ? `${ticket.units} × ${page.sale?.name ?? ""}` : ""];
    case "rejected": return ["Not this time", page.note || reasonText(ticket?.reason ?? null)];
    case "sold_out": return ["Sold out", "Should a unit come back, this page opens again by itself."];
    case "closed": return ["This sale is over", "Thank you for coming."];
    case "limit": return ["You have yours already", "One buyer may not have more in this sale."];
    case "offline": return ["No answer yet, still asking", ticket
      ? "Your ticket is safe. The result appears as soon as the connection is back."
      : "The connection seems to be down."];
    case "missing": return ["There is no such sale", "The address may be mistyped, or it was removed."];
    default: return ["", ""];
  }
}

function render() {
  const now = state();
  const changed = main.dataset.state !== now;
  const held = document.activeElement === button;
  main.dataset.state = now;
  if (page.sale) renderSale(page.sale, now);
  const [headline, detail] = words(now);
  put(element("#headline"), headline);
  put(element("#detail"), detail);
  renderTickets();
  renderButton(now);
  if (changed && held && element("#actions").hidden) element("#status").focus();
  const title = headline ? `${headline} · ` : "";
  const shown = `${title}${page.sale?.name ?? "Flash sale"}`;
  if (document.title !== shown) document.title = shown;
}

/** @param {HTMLElement} where @param {string} text */
function put(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

/** @param {Sale} sale @param {string} now */
function renderSale(sale, now) {
  put(element("#name"), sale.name);
  element("#demo").hidden = element("#demo-note").hidden = !isDemo(sale);
  put(element("#when"), whenText(sale, now));
  put(element("#limit"), sale.limit > 1 ? `Up to ${sale.limit} per buyer` : "One per buyer");
  const closing = now === "open" && sale.closes_at !== null && sale.closes_at - dibs.now() < CLOSING_MS;
  const target = now === "upcoming" ? sale.opens_at : closing ? sale.closes_at : null;
  element("#clock").hidden = target === null;
  if (target === null) return;
  put(element("#countdown-label"), now === "upcoming" ? "Opens in" : "Closes in");
  renderCountdown(target - dibs.now());
}

/** @param {Sale} sale @param {string} now */
function whenText(sale, now) {
  if (now === "closed" && sale.closes_at !== null) return `Ended ${dateText(sale.closes_at)}`;
  if (sale.opens_at === null) return "";
  return `${now === "upcoming" ? "Opens" : "Opened"} ${dateText(sale.opens_at)}`;
}

/** @param {number} left ms */
function renderCountdown(left) {
  const countdown = element("#countdown");
  const parts = spanParts(left);
  countdown.dataset.seconds = String(Math.max(0, Math.ceil(left / 1000)));
  if (countdown.childElementCount !== parts.length) {
    countdown.replaceChildren(...parts.map(() => {
      const part = document.createElement("span");
      part.append(document.createElement("b"), " ", document.createElement("i"), " ");
      return part;
    }));
  }
  parts.forEach(({ value, unit }, place) => {
    const part = countdown.children[place];
    put(/** @type {HTMLElement} */ (part?.querySelector("b")), value);
    put(/** @type {HTMLElement} */ (part?.querySelector("i")), unit);
  });
}

let drawn = "";

function renderTickets() {
  const shown = page.phase === "ticket" || page.phase === "limit" ? page.claims : [];
  const drawing = JSON.stringify(shown.map(({ ticket }) => ticket));
  if (drawing === drawn) return;
  drawn = drawing;
  element("#ticket").hidden = shown.length === 0;
  element("#ticket").replaceChildren(...shown.map(({ ticket }) => stub(ticket)));
}

/** @param {Ticket} ticket */
function stub(ticket) {
  const made = document.createElement("article");
  made.className = "stub";
  made.dataset.id = ticket.id;
  made.dataset.status = ticket.status;
  made.setAttribute("aria-label", "Your ticket");
  const facts = document.createElement("dl");
  for (const [term, fact, full] of [
    ["Ticket", shortId(ticket.id), ticket.id],
    ["Units", String(ticket.units)],
    ["Claimed", timeText(ticket.granted_at), ticket.granted_at],
    ["Decided", timeText(ticket.decided_at), ticket.decided_at],
  ]) {
    if (!fact) continue;
    const pair = document.createElement("div");
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = term ?? "";
    dd.textContent = fact;
    if (full) dd.title = full;
    pair.append(dt, dd);
    facts.append(pair);
  }
  const heading = document.createElement("p");
  heading.className = "stub-status";
  heading.textContent = statusText(ticket);
  made.append(heading, facts);
  return made;
}

/** Whether one more claim makes sense beside the tickets that are shown. */
function mayClaimMore() {
  const sale = page.sale;
  if (page.phase !== "ticket" || !sale || stateOf(sale, dibs.now()) !== "open") return false;
  const last = page.claims.at(-1)?.ticket;
  if (last?.status === "rejected") return last.reason !== "limit";
  return last?.status === "confirmed" && left(sale) > 0;
}

/** @param {Sale} sale @returns {number} units that this buyer may still have */
function left(sale) {
  const live = page.claims.filter(({ ticket }) => ticket.status !== "rejected");
  return sale.limit - live.reduce((sum, { ticket }) => sum + ticket.units, 0);
}

/** @param {string} now */
function renderButton(now) {
  const more = mayClaimMore();
  const asking = page.phase === "claiming";
  element("#actions").hidden = !(now === "upcoming" || now === "open" || asking || more);
  button.disabled = !(now === "open" || asking || more);
  button.setAttribute("aria-disabled", String(asking || button.disabled));
  put(button, asking ? "Claiming…" : more ? (now === "rejected" ? "Try again" : "Claim more")
    : now === "open" ? "Claim" : "Not open yet");
  const most = page.sale ? Math.max(1, left(page.sale)) : 1;
  if (units.options.length !== most) {
    const chosen = Math.min(Number(units.value) || 1, most);
    units.replaceChildren(...Array.from({ length: most }, (_, n) => new Option(String(n + 1))));
    units.value = String(chosen);
  }
  units.disabled = asking;
  element("#units-field").hidden = most === 1;
}

/** @param {number} count */
async function press(count) {
  const { sale } = page;
  if (!sale || page.phase === "claiming") return;
  const another = page.claims.at(-1)?.ticket.status === "confirmed";
  Object.assign(page, { phase: "claiming", unanswered: false, waits: null, note: "" });
  render();
  try {
    const claim = await dibs.claim(sale, {
      units: count, another,
      onwait: (error) => {
        page.unanswered = error.status === 0;
        page.waits = error;
        render();
      },
    });
    page.claims = (await dibs.held(sale)).claims;
    await follow(claim);
  } catch (error) {
    await refused(error);
  }
}

/** Shows what the server refused, and takes its word for how the sale stands. @param {unknown} error */
async function refused(error) {
  const { sale } = page;
  if (!(error instanceof DibsError) || !sale) throw error;
  Object.assign(page, { phase: page.claims.length > 0 ? "ticket" : "sale", unanswered: false });
  switch (error.type) {
    case "not-open": {
      const opens = Date.parse(String(error.document.opens_at));
      if (opens > 0) sale.opens_at = opens;
      await dibs.sync().catch(() => {});
      break;
    }
    case "sold-out": sale.state = "sold_out"; break;
    case "closed": sale.state = "closed"; break;
    case "too-few-left": page.note = tooFew(error.document.left); break;
    case "limit-reached": return limitReached(error);
    case "unauthenticated": page.note = "Sign in with the shop first, then come back to this page."; break;
    default: page.note = error.message;
  }
  if (page.phase === "ticket" && error.type === "sold-out") page.note = "Sold out.";
  render();
}

/** @param {unknown} count */
function tooFew(count) {
  return typeof count === "number" ? `Only ${count} left: choose fewer.` : "Fewer are left: choose fewer.";
}

/** @param {DibsError} error */
async function limitReached(error) {
  if (error.held.length > 0) page.claims = error.held;
  const open = page.claims.find(({ ticket }) => !ticket.final);
  if (open) return follow(open);
  page.phase = "limit";
  render();
}

/** Follows a claim to its final result. @param {Claim} claim */
async function follow(claim) {
  Object.assign(page, { phase: "ticket", unanswered: !navigator.onLine, note: "" });
  page.claims = [...page.claims.filter(({ ticket }) => ticket.id !== claim.ticket.id), claim];
  try {
    const onlink = (/** @type {string} */ link) => {
      page.unanswered = link === "lost";
      render();
    };
    for await (const ticket of dibs.watch(claim, { onlink })) {
      page.claims = page.claims.map((it) => (it.ticket.id === ticket.id ? { ...it, ticket } : it));
      render();
    }
    due.refresh = 0;
  } catch (error) {
    unknown(error, claim);
  }
}

/** A ticket that the server does not know is none. @param {unknown} error @param {Claim} claim */
function unknown(error, claim) {
  if (!(error instanceof DibsError)) throw error;
  if (error.type !== "not-found") return;
  page.claims = page.claims.filter(({ ticket }) => ticket.id !== claim.ticket.id);
  if (page.claims.length === 0) page.phase = "sale";
  render();
}

/** Takes up what was under way before the page was loaded, or in another tab. */
async function resume() {
  const { sale } = page;
  if (!sale || page.phase === "claiming") return;
  const { claims, unanswered } = await dibs.held(sale);
  page.claims = claims;
  const open = claims.find(({ ticket }) => !ticket.final);
  if (unanswered && dibs.now() - unanswered.at < RESUME_MS) return press(unanswered.units);
  if (open) return follow(open);
  const last = claims.at(-1);
  if (!last) return;
  page.phase = "ticket";
  render();
  await dibs.ticket(last).catch((error) => unknown(error, last));
}

let refreshing = false;

async function refresh() {
  if (refreshing) return;
  refreshing = true;
  due.refresh = performance.now() + 30_000 * (1 + Math.random());
  try {
    const fresh = await dibs.sale(saleId);
    if (page.sale && fresh.round !== page.sale.round) location.reload();
    page.sale = fresh;
    if (fresh.opens_at !== null && dibs.now() < fresh.opens_at - 60_000 && due.sync === Infinity) {
      due.sync = fresh.opens_at - 10_000 - Math.random() * 30_000;
    }
    if (page.phase === "loading") {
      Object.assign(page, { phase: "sale", unanswered: false });
      void resume();
    }
  } catch (error) {
    if (!(error instanceof DibsError)) throw error;
    if (page.phase === "loading") {
      if (error.retryable) page.unanswered = true;
      else page.phase = "missing";
      due.refresh = performance.now() + 2_000 * (1 + Math.random());
    }
  } finally {
    refreshing = false;
  }
  render();
}

/** Whether how the sale stands matters to what is shown. */
function watchesSale() {
  if (document.visibilityState === "hidden") return false;
  return ["loading", "sale"].includes(page.phase) || page.claims.at(-1)?.ticket.status === "rejected";
}

/** Once a second, at the second, and at once when something may have changed. */
function tick() {
  clearTimeout(ticking);
  render();
  if (page.phase === "missing") return;
  if (performance.now() >= due.refresh && watchesSale()) void refresh();
  if (dibs.now() >= due.sync) {
    due.sync = Infinity;
    void dibs.sync().then(tick, () => {});
  }
  const now = dibs.now();
  const target = page.sale?.opens_at && now < page.sale.opens_at ? page.sale.opens_at : page.sale?.closes_at;
  const left = target ? target - now : 0;
  ticking = setTimeout(tick, (left > 0 ? left % 1000 : 990) + 10);
}

button.addEventListener("click", () => void press(Number(units.value) || 1));
addEventListener("storage", () => {
  if (page.phase === "sale") void resume();
});
dibs.onWake((long) => {
  if (long) void dibs.sync().then(tick, () => {});
  due.refresh = 0;
  tick();
}, new AbortController().signal);
tick();
