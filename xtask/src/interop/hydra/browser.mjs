// Chromium's own web socket against a gateway, from the gateway's page and through it: prints one
// JSON object with what was seen, and leaves screenshots.
import { chromium } from "playwright-core";

const [address, tag, pictures, executablePath] = process.argv.slice(2);
const seen = {};
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
});

// What is on the page, by hand: connect, metadata, payloads, reports.
async function byHand(name, viewport) {
  const page = await browser.newPage({ viewport });
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(`http://${address}/`);
  await page.fill("#name", "gravwell_ingestor");
  await page.click("#connect button");
  await page.waitForSelector("#state.open");
  const answers = () => page.locator("#log .got").count();
  const answered = (count) => page.waitForFunction(
    (count) => document.querySelectorAll("#log .got").length >= count, count);
  for (const [key, value] of [["hydra-tag", tag], ["hydra-ack", "persisted"]]) {
    const before = await answers();
    await page.fill("#key", key);
    await page.fill("#value", value);
    await page.click("#set button");
    await answered(before + 1);
  }
  await page.click("#list");
  await answered(3);
  await page.fill("#payload", `chromium by hand, ${name}`);
  await page.press("#payload", "Enter");
  await answered(4);
  await page.fill("#key", "hydra-tag");
  await page.fill("#value", "no tag");
  await page.click("#set button");
  await answered(5);
  await page.fill("#payload", "this one is refused");
  await page.press("#payload", "Enter");
  await answered(6);
  await page.screenshot({ path: `${pictures}/page-${name}.png` });
  const lines = await page.locator("#log .got").allTextContents();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  await page.close();
  return { lines: lines.map((line) => line.replace(/"requestId":"\d+"/, '"requestId":"N"')), errors, wide };
}
seen.desktop = await byHand("desktop", { width: 1280, height: 800 });
seen.phone = await byHand("phone", { width: 390, height: 844 });

const page = await browser.newPage();
await page.goto(`http://${address}/`);
Object.assign(seen, await page.evaluate(async ({ tag }) => {
  const seen = {};
  function connect(path) {
    const ws = new WebSocket(`ws://${location.host}${path}`);
    const came = [];
    const waiting = [];
    ws.next = () => new Promise((done) => (came.length ? done(came.shift()) : waiting.push(done)));
    ws.onmessage = (event) => (waiting.length ? waiting.shift()(event.data) : came.push(event.data));
    ws.ended = new Promise((done) => { ws.onclose = (event) => done([event.code, event.reason]); });
    return new Promise((done, fail) => { ws.onopen = () => done(ws); ws.onerror = fail; });
  }
  const code = (text) => {
    const { status } = JSON.parse(text);
    return typeof status === "object" ? status.code : status;
  };
  const say = (ws, text) => { ws.send(text); return ws.next(); };

  let ws = await connect("/ws-ingest/kafka_ingestor");
  seen.set = await say(ws, "-c set hydra-kafka-topic = test-topic");
  seen.ack = await say(ws, "-c set hydra-ack = explicit");
  seen["no-broker"] = code(await say(ws, '{"name":"test","value":"test"}'));
  ws.close();

  ws = await connect("/ws-ingest");
  seen.extensions = ws.extensions;
  await say(ws, `-c SET hydra-tag = ${tag}`);
  await say(ws, "-c SET hydra-ack = persisted");
  for (let number = 0; number < 1000; number += 1) ws.send(`-i ${number} chromium ${number}`);
  const ids = new Set();
  for (let number = 0; number < 1000; number += 1) {
    const report = JSON.parse(await ws.next());
    if (report.status.code === 200) ids.add(Number(report.requestId));
  }
  seen.many = ids.size;
  seen.large = code(await say(ws, "large " + "x".repeat(1_000_000)));
  ws.send(new Uint8Array([0, 1]));
  seen.binary = code(await ws.next());
  ws.close(4001, "enough");
  seen.close = (await ws.ended)[0];
  ws = await connect("/ws-ingest");
  ws.send("x".repeat(1024 * 1024 + 1));
  seen["too large"] = (await ws.ended)[0];
  return seen;
}, { tag }));

// A page from elsewhere gets nothing: neither a socket nor an answer.
const stranger = await browser.newPage();
await stranger.goto("data:text/html,<title>elsewhere</title>");
seen["foreign origin"] = await stranger.evaluate((address) => new Promise((done) => {
  const ws = new WebSocket(`ws://${address}/ws-ingest`);
  ws.onopen = () => done("open");
  ws.onclose = (event) => done(event.code);
}), address);

await browser.close();
console.log(JSON.stringify(seen));
