import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Dibs, DibsError } from "../assets/client.js";
import { Server } from "./dibs.js";

let server;

before(async () => {
  delete globalThis.WebSocket;
  server = await Server.start();
});
after(() => server?.stop());

const buyer = () => new Dibs({ base: server.base });

test("outside a browser, without WebSocket and storage, a claim gets its final result", async () => {
  const sale = await server.sale();
  const dibs = buyer();
  const claim = await dibs.claim(sale.id);
  const versions = [];
  for await (const ticket of dibs.watch(claim)) versions.push(ticket);
  assert.equal(versions.at(-1).status, "confirmed");
  assert.equal(versions.at(-1).final, true);
  for (let n = 1; n < versions.length; n++) {
    assert.ok(versions[n].version > versions[n - 1].version, "each version is newer");
  }
  assert.deepEqual(await dibs.ticket(claim), versions.at(-1));
});

test("the same claim gives the same ticket, one at a time or ten at once", async () => {
  const sale = await server.sale({ limit: 4 });
  const dibs = buyer();
  const claims = await Promise.all(Array.from({ length: 10 }, () => dibs.claim(sale.id)));
  claims.push(await dibs.claim(sale.id));
  assert.equal(new Set(claims.map(({ ticket }) => ticket.id)).size, 1);
  // The list has what is decided.
  for await (const ticket of dibs.watch(claims[0])) void ticket;
  assert.equal((await server.tickets(sale)).length, 1);
});

test("another claim beside a confirmed one is another ticket", async () => {
  const sale = await server.sale({ limit: 2 });
  const dibs = buyer();
  const first = await dibs.claim(sale.id);
  for await (const ticket of dibs.watch(first)) void ticket;
  const second = await dibs.claim(sale.id, { another: true });
  assert.notEqual(second.ticket.id, first.ticket.id);
  const held = await dibs.held(await dibs.sale(sale.id));
  assert.deepEqual(held.claims.map(({ ticket }) => ticket.id), [first.ticket.id, second.ticket.id]);
  for await (const ticket of dibs.watch(second)) void ticket;
  await assert.rejects(dibs.claim(sale.id, { another: true }), (error) => {
    assert.ok(error instanceof DibsError);
    assert.equal(error.type, "limit-reached");
    assert.equal(error.held.length, 2);
    return true;
  });
});

test("a token that opens nothing is said to open nothing", async () => {
  const sale = await server.sale();
  const dibs = buyer();
  const claim = await dibs.claim(sale.id);
  const forged = { ...claim, token: `${claim.token.slice(0, -1)}${claim.token.endsWith("A") ? "B" : "A"}` };
  const read = async () => {
    for await (const ticket of buyer().watch({ ...forged, ticket: { ...claim.ticket, version: 0 } })) void ticket;
  };
  await assert.rejects(read, { type: "not-found" });
  await assert.rejects(buyer().ticket(forged), { type: "not-found" });
});

test("a watch ends with its signal", async () => {
  const dibs = buyer();
  const claim = await dibs.claim((await server.sale()).id);
  const stop = new AbortController();
  const pending = { ...claim, ticket: { ...claim.ticket, version: 1000 } };
  const read = async () => {
    for await (const ticket of dibs.watch(pending, { signal: stop.signal })) stop.abort(new Error(ticket.id));
  };
  await assert.rejects(read, { message: claim.ticket.id });
});

test("what is refused for good is not asked again", async () => {
  const sale = await server.sale({ inMs: 3600_000, closesInMs: 7200_000 });
  const waits = [];
  const claim = buyer().claim(sale.id, { onwait: (error) => waits.push(error) });
  await assert.rejects(claim, { type: "not-open", status: 409 });
  assert.deepEqual(waits, []);
});

test("a guest whose JWT was renewed stays the same buyer while the server is asked again", async (context) => {
  let guests = 0;
  const asked = [];
  const answers = [[401, "unauthenticated"], [503, "not-known"], [409, "closed"]];
  context.mock.method(globalThis, "fetch", async (url, { headers }) => {
    if (url.endsWith("/v1/guests")) return Response.json({ token: `guest-${++guests}` }, { status: 201 });
    asked.push(headers.Authorization);
    const [status, type] = answers.shift();
    return Response.json({ type: `/problems/${type}` }, { status });
  });
  const sale = { id: "cups", name: "Cups", round: "1", opens_at: 0, closes_at: null, state: "open", limit: 1 };
  await assert.rejects(new Dibs({ base: "http://dibs.test" }).claim(sale), { type: "closed" });
  assert.deepEqual(asked, ["Bearer guest-1", "Bearer guest-2", "Bearer guest-2"]);
});
