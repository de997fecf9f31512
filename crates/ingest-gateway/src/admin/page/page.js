"use strict";
// Reads /status once a second and shows it. Nothing is kept but the last minutes' rates.
const KEPT = 180;
const rates = [];
let before = null;

const id = (name) => document.getElementById(name);
const sum = (counts) => Object.values(counts).reduce((all, one) => all + one, 0);

/** A number for the eye: 1,234, 12.3k, 4.56M. */
function number(n) {
  if (n < 10000) return Math.round(n).toLocaleString("en");
  const units = ["k", "M", "G", "T", "P"];
  let unit = -1;
  while (n >= 1000 && unit < units.length - 1) { n /= 1000; unit += 1; }
  return n.toPrecision(3) + units[unit];
}

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit += 1; }
  return (unit === 0 ? n.toString() : n.toPrecision(3)) + " " + units[unit];
}

function seconds(s) {
  if (s === null || s === undefined) return "not known";
  if (s === 0) return "0 s";
  if (s < 0.001) return (s * 1e6).toPrecision(3) + " µs";
  if (s < 1) return (s * 1e3).toPrecision(3) + " ms";
  if (s < 120) return s.toPrecision(3) + " s";
  if (s < 7200) return Math.round(s / 60) + " min";
  return s < 172800 ? Math.round(s / 3600) + " h" : Math.round(s / 86400) + " d";
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function card(title, kind, rows, notes) {
  const made = element("article", undefined, "card");
  const head = element("h3", title);
  head.append(element("span", kind, "kind"));
  const list = element("dl");
  for (const [what, value, className] of rows) {
    list.append(element("dt", what), element("dd", value, className));
  }
  made.append(head, list);
  for (const [text, className] of notes) made.append(element("p", text, "note " + className));
  return made;
}

/** What a count has grown by a second, since the look before. */
function grown(now, then, span, of) {
  if (!then || span <= 0) return 0;
  return Math.max(0, of(now) - of(then)) / span;
}

function reasons(counts) {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.map(([reason, count]) => `${reason} ${number(count)}`).join(", ");
}

function sourceCard(source, then, span) {
  const items = (one) => one.received.items;
  const rows = [
    ["items/s", number(grown(source, then, span, items))],
    ["bytes/s", bytes(Math.round(grown(source, then, span, (one) => one.received.bytes)))],
    ["accepted", number(source.accepted.items)],
    ["refused", number(sum(source.rejected)), sum(source.rejected) > 0 ? "warn" : ""],
    ["connections", `${number(source.connections.open)} open, ${number(source.connections.total)} in all`],
  ];
  const notes = [];
  if (reasons(source.rejected)) notes.push(["refused: " + reasons(source.rejected), "warn"]);
  if (source.connections.aborted + source.connections.refused > 0) {
    notes.push([`connections: ${source.connections.aborted} broken, ${source.connections.refused} not let in`, ""]);
  }
  if (source.template) {
    const { template, tags, most, replaced, missing, too_many } = source.template;
    const plain = reasons({ "nothing to make it of": missing, "too many tags": too_many });
    notes.push([`tags of ${template}: ${number(tags)} of ${number(most)}`, too_many > 0 ? "warn" : ""]);
    if (plain) notes.push([`plain tag: ${plain}`, "warn"]);
    if (replaced > 0) notes.push([`tags with something replaced: ${number(replaced)} entries`, ""]);
  }
  if (source.kernel_drops > 0) notes.push([`dropped by the kernel: ${number(source.kernel_drops)} datagrams`, "bad"]);
  if (source.children && source.children.length > 0) notes.push([`${source.children.length} ${source.children.length === 1 ? "ingester" : "ingesters"} behind it`, ""]);
  if (!source.balanced) notes.push(["its accounts do not add up: a bug", "bad"]);
  return card(source.name, [source.type, source.listen].filter(Boolean).join(" · "), rows, notes);
}

function outputCard(output, then, span) {
  const lost = sum(output.lost);
  const rows = [
    ["delivered/s", number(grown(output, then, span, (one) => one.confirmed))],
    ["delivered", number(output.confirmed)],
    ["lag", `${number(output.lag.entries)} entries, ${bytes(output.lag.bytes)}`, output.lag.entries > 0 ? "warn" : ""],
    ["oldest", seconds(output.lag.seconds)],
    ["lost", number(lost), lost > 0 ? "bad" : ""],
  ];
  const notes = [];
  if (lost > 0) notes.push(["lost: " + reasons(output.lost), "bad"]);
  if (output.resent > 0) notes.push([`sent again: ${number(output.resent)}`, ""]);
  for (const link of output.links) {
    const className = link.state === "up" ? "good" : link.state === "stuck" ? "bad" : "warn";
    const error = link.state !== "up" && link.last_error ? `: ${link.last_error}` : "";
    notes.push([`link ${link.state}${error}`, className]);
  }
  if (!output.configured) notes.push(["not in the configuration any more", "warn"]);
  if (!output.balanced) notes.push(["its accounts do not add up: a bug", "bad"]);
  return card(output.name, output.type, rows, notes);
}

function ruleCard(rule, then, span) {
  return card(rule.name, `rule · ${rule.action}`, [
    ["dropped/s", number(grown(rule, then, span, (one) => one.dropped))],
    ["kept", number(rule.kept)],
    ["dropped", number(rule.dropped)],
  ], []);
}

function limitCard(limit, then, span) {
  return card(limit.name, `limit · ${limit.on_limit}`, [
    ["passed/s", number(grown(limit, then, span, (one) => one.passed))],
    ["passed", number(limit.passed)],
    ["dropped", number(limit.dropped), limit.dropped > 0 ? "warn" : ""],
    ["waits", number(limit.waits)],
  ], []);
}

function logCards(log, then, span) {
  const space = card("space", log.health, [
    ["used", `${bytes(log.used_bytes)} of ${bytes(log.max_bytes)}`],
    ["segments", number(log.segments)],
    ["times full", number(log.full_episodes), log.full_episodes > 0 ? "warn" : ""],
  ], []);
  const bar = element("progress");
  bar.max = log.max_bytes;
  bar.value = log.used_bytes;
  bar.setAttribute("aria-label", "used of the log");
  space.append(bar);
  const entries = card("entries", "in the life of the directory", [
    ["accepted", number(log.accepted)],
    ["removed by retention", number(log.expired)],
    ["damaged", number(log.damaged), log.damaged > 0 ? "bad" : ""],
    ["unwitnessed", number(log.unwitnessed)],
  ], []);
  const work = card("work", "", [
    ["written/s", bytes(Math.round(grown(log, then, span, (one) => one.written_bytes)))],
    ["syncs/s", number(grown(log, then, span, (one) => one.syncs))],
    ["memory", `${bytes(log.memory - log.memory_available)} of ${bytes(log.memory)}`],
  ], []);
  return [space, entries, work];
}

function line(of, most) {
  const step = 600 / (KEPT - 1);
  const first = KEPT - rates.length;
  return rates.map((rate, i) => `${((first + i) * step).toFixed(1)},${(118 - 114 * rate[of] / most).toFixed(1)}`).join(" ");
}

function pill(name, text, good) {
  id(name).textContent = text;
  id(name).className = "pill " + (good ? "good" : "bad");
}

const byName = (list, name) => list && list.find((one) => one.name === name);

function show(now) {
  const then = before && before.uptime_seconds < now.uptime_seconds ? before : null;
  const span = then ? now.uptime_seconds - then.uptime_seconds : 0;
  pill("health", now.ready ? "takes data" : `not ready: the log is ${now.log.health}`, now.ready);
  pill("balance", now.balanced ? "accounts balanced" : "accounts do not add up", now.balanced);
  id("about").textContent = `${now.version}, up ${seconds(now.uptime_seconds)}, ${number(now.tags)} ${now.tags === 1 ? "tag" : "tags"}`;
  const inRate = grown(now.log, then && then.log, span, (log) => log.accepted);
  const outRate = now.outputs.reduce((all, output) =>
    all + grown(output, then && byName(then.outputs, output.name), span, (one) => one.confirmed), 0);
  if (then) rates.push({ in: inRate, out: outRate });
  while (rates.length > KEPT) rates.shift();
  const most = Math.max(1, ...rates.map((rate) => Math.max(rate.in, rate.out)));
  id("chart-in").setAttribute("points", line("in", most));
  id("chart-out").setAttribute("points", line("out", most));
  id("chart-most").textContent = `top: ${number(most)}/s, ${KEPT / 60} minutes`;
  const syncs = then ? now.log.syncs - then.log.syncs : 0;
  const synced = syncs > 0 ? (now.log.sync_seconds - then.log.sync_seconds) / syncs
    : now.log.syncs > 0 ? now.log.sync_seconds / now.log.syncs : null;
  const lags = now.outputs.filter((output) => output.lag.entries > 0).map((output) => output.lag.seconds);
  const losses = now.sources.reduce((all, source) => all + sum(source.rejected), 0)
    + now.outputs.reduce((all, output) => all + sum(output.lost), 0);
  id("in-rate").textContent = number(inRate);
  id("out-rate").textContent = number(outRate);
  id("sync").textContent = synced === null ? "–" : seconds(synced);
  id("lag").textContent = lags.length === 0 ? "none" : seconds(lags.includes(null) ? null : Math.max(...lags));
  id("loss").textContent = number(losses);
  id("loss").className = losses > 0 ? "warn" : "";
  const cards = (list, old, make) => list.map((one) => make(one, then && byName(old, one.name), span));
  id("sources").replaceChildren(...cards(now.sources, then && then.sources, sourceCard));
  const rules = now.rules || [], limits = now.limits || [];
  id("policy").hidden = rules.length + limits.length === 0;
  id("decided").replaceChildren(
    ...cards(rules, then && then.rules, ruleCard),
    ...cards(limits, then && then.limits, limitCard),
  );
  id("outputs").replaceChildren(...cards(now.outputs, then && then.outputs, outputCard));
  id("log").replaceChildren(...logCards(now.log, then && then.log, span));
  before = now;
}

async function look() {
  const trouble = id("trouble");
  try {
    const answer = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
    show(await answer.json());
    trouble.hidden = true;
  } catch (error) {
    trouble.textContent = `The gateway does not answer (${error.message}). What is shown is old.`;
    trouble.hidden = false;
    before = null;
  }
  setTimeout(look, document.hidden ? 5000 : 1000);
}

look();
