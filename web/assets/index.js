/** The list of sales. */

import { Dibs } from "./client.js";
import { clockText, dateText, isDemo, stateOf } from "./words.js";

/** @typedef {import("./client.js").Sale} Sale */

const REFRESH_MS = 30_000;

const main = /** @type {HTMLElement} */ (document.querySelector("main"));
const list = /** @type {HTMLElement} */ (document.querySelector("#sales"));
const status = /** @type {HTMLElement} */ (document.querySelector("#status"));
const dibs = new Dibs();

/** @type {Sale[]} */
let sales = [];
/** @type {Map<string, {item: HTMLElement, name: HTMLElement, chip: HTMLElement, when: HTMLElement}>} */
const cards = new Map();
let refreshAt = 0;

/** @type {Record<string, string>} */
const CHIPS = { open: "Open now", upcoming: "Upcoming", sold_out: "Sold out", closed: "Closed" };

/** @param {Sale} sale @param {string} state */
function whenText(sale, state) {
  if (state === "upcoming" && sale.opens_at !== null) {
    const left = sale.opens_at - dibs.now();
    return left < 24 * 3600_000 ? `Opens in ${clockText(left)}` : `Opens ${dateText(sale.opens_at)}`;
  }
  if (state === "closed") return sale.closes_at ? `Ended ${dateText(sale.closes_at)}` : "Ended";
  if (state === "sold_out") return "Every unit has been claimed";
  return sale.closes_at ? `Until ${dateText(sale.closes_at)}` : "While stock lasts";
}

/** @param {Sale} sale */
function card(sale) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `/sales/${encodeURIComponent(sale.id)}`;
  const part = (/** @type {string} */ tag, /** @type {string} */ kind) => {
    const made = document.createElement(tag);
    made.className = kind;
    return made;
  };
  const name = part("span", "sale-name");
  const chip = part("span", "chip");
  const when = part("span", "muted");
  link.append(name, chip, when);
  if (isDemo(sale)) {
    const demo = part("span", "badge");
    demo.textContent = "Demo";
    name.after(demo);
  }
  item.append(link);
  return { item, name, chip, when };
}

function render() {
  const rank = ["open", "upcoming", "sold_out", "closed"];
  const sorted = sales
    .map((sale) => ({ sale, state: stateOf(sale, dibs.now()) }))
    .sort((a, b) => rank.indexOf(a.state) - rank.indexOf(b.state)
      || (a.sale.opens_at ?? 0) - (b.sale.opens_at ?? 0) || (a.sale.id < b.sale.id ? -1 : 1));
  sorted.forEach(({ sale, state }, place) => {
    const shown = cards.get(sale.id) ?? card(sale);
    cards.set(sale.id, shown);
    shown.item.dataset.state = state;
    shown.name.textContent = sale.name;
    shown.chip.textContent = CHIPS[state] ?? state;
    shown.when.textContent = whenText(sale, state);
    if (list.children[place] !== shown.item) list.insertBefore(shown.item, list.children[place] ?? null);
  });
  for (const [id, { item }] of cards) {
    if (sales.some((sale) => sale.id === id)) continue;
    item.remove();
    cards.delete(id);
  }
}

async function refresh() {
  refreshAt = performance.now() + REFRESH_MS * (1 + Math.random());
  try {
    const [fresh] = await Promise.all([dibs.sales(), dibs.sync()]);
    sales = fresh;
    main.dataset.state = "listed";
    status.textContent = sales.length === 0 ? "No sale is planned at present." : "";
  } catch {
    main.dataset.state = "offline";
    status.textContent = "No answer from the server yet, still asking.";
    refreshAt = performance.now() + 5_000 * (1 + Math.random());
  }
  render();
}

function tick() {
  render();
  if (document.visibilityState === "visible" && performance.now() >= refreshAt) void refresh();
  setTimeout(tick, 1000 - (dibs.now() % 1000) + 10);
}

dibs.onWake(() => void refresh(), new AbortController().signal);
await refresh();
tick();
