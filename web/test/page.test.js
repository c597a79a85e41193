import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Server, launchBrowser } from "./dibs.js";

let server;
let browser;

before(async () => {
  [server, browser] = await Promise.all([Server.start(), launchBrowser()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Runs `body` with a page of its own browser context, as a buyer who was never here before. */
async function visiting(body, scripts = []) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const faults = [];
  page.on("pageerror", (error) => faults.push(error.stack));
  try {
    for (const [script, argument] of scripts) await page.addInitScript(script, argument);
    await body(page, context);
    assert.deepEqual(faults, [], "the page throws nothing");
  } finally {
    await context.close();
  }
}

const reaches = (page, state) => page.waitForSelector(`main[data-state="${state}"]`);
const claims = (page) => page.click("#claim");
const ticketId = (page) => page.getAttribute("#ticket article", "data-id");

/** The addresses of the sockets that a page opens, and how many ticket frames came over them. */
function sockets(page) {
  const seen = { addresses: [], tickets: [] };
  page.on("websocket", (socket) => {
    seen.addresses.push(socket.url());
    socket.on("framereceived", ({ payload }) => {
      const frame = JSON.parse(String(payload));
      if (frame.type === "ticket") seen.tickets.push(frame.ticket);
    });
  });
  return seen;
}

describe("countdown, claim, result", () => {
  test("the final result is pushed over the WebSocket and is what the merchant sees", () =>
    visiting(async (page) => {
      const sale = await server.sale({ name: "Ten <b>mugs</b>", inMs: 4000 });
      const seen = sockets(page);
      const polls = [];
      page.on("request", (it) => it.url().includes("/v1/tickets/") && polls.push(it.url()));
      await page.goto(sale.page);
      await reaches(page, "upcoming");
      assert.equal(await page.textContent("#name"), "Ten <b>mugs</b>");
      assert.equal(await page.isDisabled("#claim"), true);
      await reaches(page, "open");
      await claims(page);
      await reaches(page, "confirmed");
      const [row, ...others] = await server.tickets(sale);
      assert.deepEqual(others, []);
      assert.equal(row.id, await ticketId(page));
      assert.equal(row.status, "confirmed");
      assert.equal(seen.tickets.at(-1).id, row.id);
      assert.equal(seen.tickets.at(-1).status, "confirmed");
      assert.deepEqual(polls, [], "nothing was polled");
    }));

  test("the demo sale says that it is one", () =>
    visiting(async (page) => {
      await page.goto(`${server.base}/sales/demo`);
      await page.waitForSelector("#demo:visible");
      await page.waitForSelector("#demo-note:visible");
    }));

  test("a sale that nobody made is said to be none", () =>
    visiting(async (page) => {
      await page.goto(`${server.base}/sales/no-such-sale`);
      await reaches(page, "missing");
    }));

  test("the list leads to the sale", () =>
    visiting(async (page) => {
      const sale = await server.sale();
      await page.goto(`${server.base}/`);
      await page.click(`a[href="/sales/${sale.id}"]`);
      await reaches(page, "open");
    }));

  test("the keyboard is enough", () =>
    visiting(async (page) => {
      const sale = await server.sale();
      await page.goto(sale.page);
      await reaches(page, "open");
      await page.focus("#claim");
      await page.keyboard.press("Enter");
      await reaches(page, "confirmed");
      assert.equal(await page.evaluate(() => document.activeElement?.id), "status");
    }));
});

/** Answers a page's socket in the server's place with what `speak` does; gives the claim's answer. */
async function claimWithSocket(page, sale, speak) {
  const granted = page.waitForResponse("**/v1/sales/*/tickets").then((answer) => answer.json());
  let connections = 0;
  await page.routeWebSocket("**/v1/ws", (socket) => {
    const connection = ++connections;
    if (connection > 1) return socket.connectToServer();
    return socket.onMessage(async () => {
      const { ticket } = await granted;
      const send = (frame) => socket.send(JSON.stringify(frame));
      speak((change) => send({ type: "ticket", ticket: { ...ticket, ...change } }), send, ticket);
    });
  });
  await page.goto(sale.page);
  await claims(page);
  await granted;
  return () => connections;
}

describe("what comes over the socket is judged", () => {
  test("a node that drains is left, and another tells the result", () =>
    visiting(async (page) => {
      const connections = await claimWithSocket(page, await server.sale(), (ticket, send) => {
        ticket({ version: 1, status: "pending", final: false });
        send({ type: "drain", reconnect_after_ms: 50 });
      });
      await reaches(page, "confirmed");
      assert.equal(connections(), 2);
    }));

  test("an older version changes nothing, and neither does what is no frame", () =>
    visiting(async (page) => {
      await claimWithSocket(page, await server.sale(), (ticket, send) => {
        ticket({ version: 7, status: "pending", final: false });
        ticket({ version: 6, status: "rejected", reason: "deadline", final: true });
        ticket({ version: "8", status: "rejected", final: true });
        ticket({ version: 9, status: "rejected", final: true, id: "another" });
        send({ type: "news" });
        send(null);
        ticket({ version: 8, status: "confirmed", final: true });
      });
      await reaches(page, "confirmed");
      const kept = await page.evaluate(() =>
        Object.entries(localStorage).find(([name]) => name.includes(" claim "))[1]);
      assert.equal(JSON.parse(kept).claims[0].ticket.version, 8);
    }));

  test("a silent socket is not trusted once the network was away", () =>
    visiting(async (page, context) => {
      await claimWithSocket(page, await server.sale(), (ticket) =>
        ticket({ version: 1, status: "pending", final: false }));
      await reaches(page, "pending");
      await context.setOffline(true);
      await context.setOffline(false);
      await reaches(page, "confirmed");
    }));
});

describe("without a WebSocket the result is polled", () => {
  test("when it cannot even be made", () =>
    visiting(async (page) => {
      const sale = await server.sale();
      await page.goto(sale.page);
      await claims(page);
      await reaches(page, "confirmed");
      assert.equal((await server.tickets(sale))[0].id, await ticketId(page));
    }, [[() => {
      globalThis.WebSocket = class {
        constructor() {
          throw new DOMException("blocked", "SecurityError");
        }
      };
    }]]));

  test("when each one is closed before it says anything", () =>
    visiting(async (page) => {
      const sale = await server.sale();
      let opened = 0;
      await page.routeWebSocket("**/v1/ws", async (socket) => {
        opened += 1;
        await socket.close({ code: 1013, reason: "try again later" });
      });
      await page.goto(sale.page);
      await claims(page);
      await reaches(page, "confirmed");
      assert.ok(opened >= 1 && opened <= 2, `${opened} sockets`);
    }));

  test("when one opens and swallows every frame", () =>
    visiting(async (page) => {
      const sale = await server.sale();
      await page.routeWebSocket("**/v1/ws", () => {});
      await page.goto(sale.page);
      await claims(page);
      await reaches(page, "confirmed");
    }));

  test("when a proxy answers long-polls at once", () =>
    visiting(async (page) => {
      const sale = await server.sale();
      let opened = 0;
      await page.routeWebSocket("**/v1/ws", (socket) => {
        opened += 1;
        return socket.close({ code: 1008 });
      });
      let asked = 0;
      await page.route("**/v1/tickets/*", async (route) => {
        asked += 1;
        if (asked > 3) return route.continue();
        return route.fulfill({ status: 304, headers: { "Dibs-Poll-After-Ms": "500" } });
      });
      await page.goto(sale.page);
      await claims(page);
      await reaches(page, "confirmed");
      assert.equal(asked, 4);
      assert.equal(opened, 1, "a socket that was told to stay away does");
    }));
});

/** Replaces the page's wall clock by one that is `skew` off; `globalThis.skew` moves it. */
function wrongClock(skew) {
  const Right = Date;
  globalThis.rightNow = () => Right.now();
  globalThis.skew = skew;
  globalThis.Date = class extends Right {
    constructor(...parts) {
      if (parts.length === 0) super(Right.now() + globalThis.skew);
      else super(...parts);
    }

    static now() {
      return Right.now() + globalThis.skew;
    }
  };
  addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("#claim");
    if (button) new MutationObserver(() => {
      if (!button.disabled) globalThis.aliveAt ??= Right.now();
    }).observe(button, { attributes: true });
  });
}

describe("the client's clock does not matter", () => {
  for (const [words, skew] of [["an hour ahead", 3600_000], ["an hour behind", -3600_000]]) {
    test(`${words}, and moved back during the countdown`, () =>
      visiting(async (page) => {
        const sale = await server.sale({ inMs: 6000 });
        await page.goto(sale.page);
        await reaches(page, "upcoming");
        for (const moved of [skew, 0]) {
          await page.evaluate((it) => { globalThis.skew = it; }, moved);
          const { shown, now } = await page.evaluate(() => ({
            shown: Number(document.querySelector("#countdown").dataset.seconds) * 1000,
            now: globalThis.rightNow(),
          }));
          const over = shown - (sale.opensAt - now);
          assert.ok(over >= -250 && over <= 1250, `the countdown is ${over} ms off`);
        }
        await reaches(page, "open");
        const early = sale.opensAt - (await page.evaluate(() => globalThis.aliveAt));
        assert.ok(early <= 250, `the button came alive ${early} ms early`);
        await claims(page);
        await reaches(page, "confirmed");
      }, [[wrongClock, skew]]));

    test(`${words}: the client knows the server's time`, () =>
      visiting(async (page) => {
        await page.goto(`${server.base}/`);
        const off = await page.evaluate(async () => {
          const { Dibs } = await import("/client.js");
          const dibs = new Dibs();
          await dibs.sync();
          globalThis.skew = 0;
          return dibs.now() - globalThis.rightNow();
        });
        assert.ok(Math.abs(off) <= 250, `${off} ms off`);
      }, [[wrongClock, skew]]));
  }

  test("only the server opens the sale: too early a claim goes back to counting", () =>
    visiting(async (page) => {
      const sale = await server.sale({ inMs: 60_000, closesInMs: 2 * 3600_000 });
      await page.route("**/v1/now", async (route) => {
        const answer = await route.fetch();
        const text = await answer.text();
        const ahead = text.replace(/\d{12,}/, (ms) => String(Number(ms) + 3600_000));
        assert.notEqual(ahead, text, "the server's clock is in the answer");
        await route.fulfill({ response: answer, body: ahead });
      });
      await page.goto(sale.page);
      await reaches(page, "open");
      await page.unroute("**/v1/now");
      await claims(page);
      await reaches(page, "upcoming");
      assert.equal(await page.isDisabled("#claim"), true);
      assert.deepEqual(await server.tickets(sale), []);
    }));
});

describe("one buyer, one claim", () => {
  test("ten fast taps make one ticket", () =>
    visiting(async (page) => {
      const sale = await server.sale({ limit: 4 });
      await page.goto(sale.page);
      await reaches(page, "open");
      await page.evaluate(() => {
        for (let tap = 0; tap < 10; tap++) document.querySelector("#claim").click();
      });
      await reaches(page, "confirmed");
      assert.equal((await server.tickets(sale)).length, 1);
    }));

  test("several units are one ticket", () =>
    visiting(async (page) => {
      const sale = await server.sale({ limit: 4 });
      await page.goto(sale.page);
      await page.selectOption("#units", "3");
      await claims(page);
      await reaches(page, "confirmed");
      const [row] = await server.tickets(sale);
      assert.equal(row.units, 3);
      assert.equal(await page.textContent("#claim"), "Claim more");
    }));

  test("a reload while pending keeps the ticket, and so does one after the final", () =>
    visiting(async (page) => {
      const sale = await server.sale();
      let muted = true;
      await page.routeWebSocket("**/v1/ws", (socket) => {
        if (!muted) socket.connectToServer();
      });
      await page.route("**/v1/tickets/*", (route) => (muted ? route.abort() : route.continue()));
      await page.goto(sale.page);
      await claims(page);
      await reaches(page, "pending");
      const id = await ticketId(page);
      await page.reload();
      await reaches(page, "pending");
      assert.equal(await ticketId(page), id);
      muted = false;
      await page.reload();
      await reaches(page, "confirmed");
      assert.equal(await ticketId(page), id);
      await page.reload();
      await reaches(page, "confirmed");
      assert.equal(await ticketId(page), id);
      assert.equal((await server.tickets(sale)).length, 1);
    }));

  test("a claim whose answer is lost is the same claim after a reload", () =>
    visiting(async (page) => {
      const sale = await server.sale({ limit: 4 });
      const keys = [];
      await page.route("**/v1/sales/*/tickets", async (route) => {
        keys.push(await route.request().headerValue("Idempotency-Key"));
        if (keys.length > 2) return route.continue();
        await route.fetch();
        return route.abort();
      });
      await page.goto(sale.page);
      await claims(page);
      await reaches(page, "offline");
      await page.reload();
      await reaches(page, "confirmed");
      assert.ok(keys.length >= 3);
      assert.equal(new Set(keys).size, 1);
      assert.equal((await server.tickets(sale)).length, 1);
    }));

  test("a claim on a sale that recovers says so, and is asked until it is granted", () =>
    visiting(async (page) => {
      const sale = await server.sale();
      let recovering = true;
      await page.route("**/v1/sales/*/tickets", (route) => recovering ? route.fulfill({
        status: 503, contentType: "application/problem+json", headers: { "Retry-After": "1" },
        body: JSON.stringify({ type: "/problems/recovering", status: 503, detail: "being put in order" }),
      }) : route.continue());
      await page.goto(sale.page);
      await claims(page);
      await page.getByText("The sale is being put in order").waitFor();
      recovering = false;
      await reaches(page, "confirmed");
      assert.equal((await server.tickets(sale)).length, 1);
    }));

  test("a second tab shows the first one's ticket", () =>
    visiting(async (page, context) => {
      const sale = await server.sale();
      const second = await context.newPage();
      await Promise.all([page.goto(sale.page), second.goto(sale.page)]);
      await reaches(second, "open");
      await claims(page);
      await reaches(page, "confirmed");
      await reaches(second, "confirmed");
      assert.equal(await ticketId(second), await ticketId(page));
    }));

  test("who has it already is shown what he holds", () =>
    visiting(async (page) => {
      const sale = await server.sale();
      await page.goto(sale.page);
      await claims(page);
      await reaches(page, "confirmed");
      const id = await ticketId(page);
      await page.evaluate(() => {
        for (const name of Object.keys(localStorage)) {
          if (name.includes(" claim ")) localStorage.removeItem(name);
        }
      });
      await page.reload();
      await reaches(page, "open");
      await claims(page);
      await reaches(page, "limit");
      assert.equal(await ticketId(page), id);
    }));
});

test("a guest whose JWT is refused becomes a new guest", () =>
  visiting(async (page) => {
    const sale = await server.sale();
    await page.goto(sale.page);
    await reaches(page, "open");
    await page.evaluate(() => localStorage.setItem(`dibs ${location.origin} guest`, "not.a.jwt"));
    await claims(page);
    await reaches(page, "confirmed");
  }));

describe("what cannot be had is said", () => {
  test("sold out, on arrival and in answer to a claim", () =>
    visiting(async (page) => {
      const sale = await server.sale({ stock: 1 });
      await page.goto(sale.page);
      await reaches(page, "open");
      await visiting(async (winner) => {
        await winner.goto(sale.page);
        await claims(winner);
        await reaches(winner, "confirmed");
      });
      await claims(page);
      await reaches(page, "sold_out");
      await server.says(sale, "sold_out");
      await visiting(async (late) => {
        await late.goto(sale.page);
        await reaches(late, "sold_out");
        assert.equal(await late.isVisible("#claim"), false);
      });
    }));

  test("closed", () =>
    visiting(async (page) => {
      const sale = await server.sale({ inMs: -60_000, closesInMs: -1000 });
      await page.goto(sale.page);
      await reaches(page, "closed");
      assert.equal(await page.isVisible("#claim"), false);
    }));
});

test("a server that is killed is asked until it answers", async () => {
  const own = await Server.start();
  try {
    await visiting(async (page) => {
      const sale = await own.sale();
      await page.goto(sale.page);
      await reaches(page, "open");
      await own.kill();
      await claims(page);
      await reaches(page, "offline");
      await own.restart();
      await reaches(page, "confirmed");
      assert.equal((await own.tickets(sale)).length, 1);
    });
  } finally {
    await own.stop();
  }
});

test("nothing secret stands in an address", () =>
  visiting(async (page) => {
    const sale = await server.sale();
    const seen = sockets(page);
    const asked = [];
    page.on("request", (it) => asked.push(it.url(), it.headers().referer ?? ""));
    await page.routeWebSocket("**/v1/ws", (socket) => {
      seen.addresses.push(socket.url());
      if (seen.addresses.length > 1) socket.connectToServer();
      else void socket.close({ code: 1013 });
    });
    await page.goto(sale.page);
    await claims(page);
    await reaches(page, "confirmed");
    await page.reload();
    await reaches(page, "confirmed");
    const kept = await page.evaluate(() => Object.entries(localStorage));
    const secrets = kept.flatMap(([name, value]) =>
      name.endsWith(" guest") ? [value] : JSON.parse(value).claims.map((claim) => claim.token));
    assert.equal(secrets.length, 2, "a JWT and a token are kept");
    const addresses = [...asked, ...seen.addresses, page.url()];
    for (const secret of secrets) {
      assert.ok(secret.length > 20);
      for (const address of addresses) assert.ok(!address.includes(secret), address);
    }
    assert.ok(addresses.some((address) => address.includes("/v1/ws")));
    const strangers = asked.filter((it) => it && !it.startsWith(server.base));
    assert.deepEqual(strangers, [], "and nobody else is asked");
  }));
