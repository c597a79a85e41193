/** The server's clock as this machine sees it, and the moments after which to look again. */

const SAMPLES = 5;
/** A round trip this short is good enough: half of it is the most that the clock can be wrong. */
const SHORT_MS = 40;

/** The server's time, carried on by the monotonic clock, so that a change of the wall clock is nothing. */
export class ServerClock {
  /** Server time when `performance.now()` was 0. @type {number | null} */
  #origin = null;

  /** Whether a sample was ever had; until then `now()` is this machine's own clock. */
  get known() {
    return this.#origin !== null;
  }

  /** Milliseconds since 1970 on the server's clock. */
  now() {
    return this.#origin === null ? Date.now() : this.#origin + performance.now();
  }

  /**
   * Takes up to five samples; the one with the least round trip wins. Rejects when none was had.
   * @param {() => Promise<number>} ask the server's time in ms
   */
  async sync(ask) {
    let best = { trip: Infinity, origin: 0 };
    /** @type {unknown} */
    let failure;
    for (let n = 0; n < SAMPLES && !(n > 1 && best.trip <= SHORT_MS); n++) {
      const sent = performance.now();
      try {
        const server = await ask();
        const received = performance.now();
        const trip = received - sent;
        if (trip < best.trip) best = { trip, origin: server + trip / 2 - received };
      } catch (error) {
        failure = error;
        break;
      }
    }
    if (best.trip === Infinity) throw failure;
    this.#origin = best.origin;
  }
}

const AWAY_MS = 10_000;
const JUMP_MS = 5_000;

/**
 * Calls `woken` when the page is shown again, comes back from sleep or from the history, or the
 * network returns. `long` says that sockets and clock readings from before are not to be trusted.
 *
 * @param {(long: boolean) => void} woken
 * @param {AbortSignal} signal ends the listening
 */
export function onWake(woken, signal) {
  let hiddenAt = NaN;
  let seen = Date.now();
  let told = { at: -Infinity, long: false };
  const tell = (/** @type {boolean} */ long) => {
    const at = performance.now();
    if (at - told.at < 1000 && (told.long || !long)) return;
    told = { at, long };
    woken(long);
  };
  // The monotonic clock stands still while some machines sleep; only the wall clock shows it.
  const timer = setInterval(() => {
    const passed = Date.now() - seen;
    seen = Date.now();
    if (Math.abs(passed - 1000) > JUMP_MS && !hidden()) tell(true);
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  if (typeof document === "undefined") return;
  document.addEventListener("visibilitychange", () => {
    seen = Date.now();
    if (hidden()) hiddenAt = performance.now();
    else tell(performance.now() - hiddenAt > AWAY_MS);
  }, { signal });
  document.addEventListener("resume", () => tell(true), { signal });
  addEventListener("online", () => tell(true), { signal });
  addEventListener("pageshow", (event) => event.persisted && tell(true), { signal });
}

function hidden() {
  return typeof document !== "undefined" && document.visibilityState === "hidden";
}
