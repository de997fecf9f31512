// Node's `ws` against a gateway: prints one JSON object with what was seen.
import WebSocket from "ws";

const [address, tag] = process.argv.slice(2);
const seen = {};

// A connection whose messages are awaited one by one.
function connect(path = "/ws-ingest", options = {}) {
  const ws = new WebSocket(`ws://${address}${path}`, options);
  const came = [];
  const waiting = [];
  ws.next = () => new Promise((done) => (came.length ? done(came.shift()) : waiting.push(done)));
  const give = (text) => (waiting.length ? waiting.shift()(text) : came.push(text));
  ws.on("message", (data) => give(data.toString()));
  ws.ended = new Promise((done) => ws.on("close", (code) => { done(code); give("{}"); }));
  ws.on("error", () => {});
  return new Promise((done, fail) => {
    ws.once("open", () => done(ws));
    ws.once("unexpected-response", (_, answer) => fail(answer.statusCode));
    ws.once("error", fail);
  });
}

function code(text) {
  const { status } = JSON.parse(text);
  return typeof status === "object" ? status.code : status;
}

async function say(ws, text) {
  ws.send(text);
  return ws.next();
}

// The sample of the document.
let ws = await connect("/ws-ingest/kafka_ingestor");
seen.set = await say(ws, "-c set hydra-kafka-topic = test-topic");
seen.ack = await say(ws, "-c set hydra-ack = explicit");
seen["no-broker"] = code(await say(ws, '{"name":"test","value":"test"}'));
ws.close();

// `ws` offers to compress by default; the offer is not taken up.
ws = await connect("/ws-ingest", { headers: { "hydra-tag": tag, "hydra-ack": "persisted" } });
seen.extensions = ws.extensions;
seen.listing = JSON.parse(await say(ws, "-c SET")).message;
for (let number = 0; number < 1000; number += 1) ws.send(`-i ${number} node ${number}`);
const ids = new Set();
for (let number = 0; number < 1000; number += 1) {
  const report = JSON.parse(await ws.next());
  if (report.status.code === 200) ids.add(Number(report.requestId));
}
seen.many = ids.size;

seen.large = code(await say(ws, "large " + "x".repeat(1_000_000)));
ws.send("in ", { fin: false });
ws.send("", { fin: false });
ws.send("three pieces", { fin: true });
seen.fragments = code(await ws.next());
for (let at = 0; at < 51; at += 1) ws.send("x", { fin: at === 50 });
seen["too many fragments"] = code(await ws.next());
ws.send(Buffer.from([0, 1]));
seen.binary = code(await ws.next());
const pong = new Promise((done) => ws.once("pong", (data) => done(data.toString())));
ws.ping("are you there");
seen.pong = [true, await pong];
ws.close(4001, "enough");
seen.close = await ws.ended;

// Whether the code is the server's: `ws` reports what it received.
async function violation(send) {
  const socket = await connect();
  send(socket);
  return socket.ended;
}
seen["bad utf-8"] = await violation((s) => s.send(Buffer.from([0xc3, 0x28]), { binary: false }));
seen.unmasked = await violation((s) => s.send("no mask", { mask: false }));
seen["reserved bit"] = await violation((s) => s._socket.write(Buffer.from([0xc1, 0x80, 1, 2, 3, 4])));
seen["stray continuation"] = await violation((s) => s._socket.write(Buffer.from([0x80, 0x80, 1, 2, 3, 4])));
seen["too large"] = await violation((s) => s.send("x".repeat(1024 * 1024 + 1)));

ws = await connect();
ws._socket.write(Buffer.from([0x81, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 5, 6]), () => ws._socket.resetAndDestroy());
await ws.ended;
ws = await connect();
seen["after an abrupt end"] = code(await say(ws, "still there"));
ws.close();

seen["foreign origin"] = await connect("/ws-ingest", { origin: "http://elsewhere.example" })
  .then(() => 101, (status) => status);

console.log(JSON.stringify(seen));
