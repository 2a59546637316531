"use strict";
// What is shown. Times are in units of 100 ns. All texts go through textContent or the canvas, so that none can be markup.
const data = { now: 0, live: 0, lanes: [], ops: [], running: [], totals: [0, 0, 0, 0, 0], runs: [], memory: new Map(), bars: [], growing: [], pictures: [], end: false };
const isLive = document.documentElement.dataset.mode === "live";
const $ = id => document.getElementById(id);
const SECOND = 1e7;

function apply(part) {
  for (const name of ["now", "live", "ops", "running", "totals", "growing", "end"]) data[name] = part[name];
  for (const [i, name, depth] of part.lanes) data.lanes[i] = { name, depth };
  for (const run of part.runs) data.runs[run[0]] = run;
  for (const [at, bytes] of part.memory) data.memory.set(at, Math.max(bytes, data.memory.get(at) ?? 0));
  for (const bar of part.bars) data.bars.push(bar);
  for (const picture of part.pictures) data.pictures.push(picture);
}

// Texts

function duration(ticks) {
  const ns = ticks * 100;
  if (ns === 0) return "0 s";
  for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]])
    if (ns >= size * 0.9995 || unit === "µs") {
      const a = ns / size;
      if (unit === "s" && a >= 120) return a >= 7200 ? `${Math.floor(a / 3600)} h ${Math.floor(a % 3600 / 60)} min` : `${Math.floor(a / 60)} min ${Math.floor(a % 60)} s`;
      return `${a >= 99.95 || a === 0 ? a.toFixed(0) : a >= 9.995 ? a.toFixed(1) : a.toFixed(2)} ${unit}`;
    }
}

function bytes(n) {
  if (n < 1024) return `${n} B`;
  let i = -1;
  do { n /= 1024; i++; } while (n >= 1023.95 && i < 5);
  return `${n >= 99.95 ? n.toFixed(0) : n.toFixed(n >= 9.995 ? 1 : 2)} ${["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][i]}`;
}

const count = n => n.toLocaleString("en");
const COLORS = ["#4269d0", "#efb118", "#3ca951", "#ff725c", "#6cc5b0", "#a463f2", "#ff8ab7", "#9c6b4e", "#97bbf5", "#8a94a6"];
const isDisk = op => data.ops[op] && data.ops[op][1] === 0;
function color(op) {
  if (isDisk(op)) return data.ops[op][0] === "write to disk" ? "#b3261e" : "#d98324";
  if (op < COLORS.length) return COLORS[op];
  return `hsl(${(op * 137.508) % 360} ${38 + op % 3 * 8}% ${50 + op % 4 * 4}%)`;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// The time that is shown, of the stream and of the memory alike

const view = { from: 0, to: 1, isAll: true, last: 0 };
let hovered = -1;
const begin = () => data.runs.length ? data.runs[0][3] : 0;
function finish() {
  if (data.live || !data.end && isLive) return data.now;
  let last = begin() + 1;
  for (const run of data.runs) if (run) last = Math.max(last, run[4] ?? data.now);
  return Math.max(last, begin() + 100);
}
function updateView() {
  if (view.last) [view.from, view.to] = [finish() - view.last * SECOND, finish()];
  else if (view.isAll) [view.from, view.to] = [begin(), finish() + (finish() - begin()) * 0.005];
}

const GUTTER = 118, AXIS = 22, MEMORY_HEIGHT = 130;
const rowHeight = n => n > 40 ? 12 : n > 6 ? 22 : 30;
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function prepare(canvas, height) {
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.font = "11px system-ui, 'DejaVu Sans', sans-serif";
  pen.textBaseline = "middle";
  return { pen, width, height };
}
const xOf = (at, width) => GUTTER + (at - view.from) / (view.to - view.from) * (width - GUTTER);
const atOf = (x, width) => view.from + (x - GUTTER) / (width - GUTTER) * (view.to - view.from);

function drawAxis(pen, width, top, height) {
  const span = view.to - view.from;
  let step = Math.pow(10, Math.floor(Math.log10(span / 4)));
  for (const factor of [5, 2]) if (span / (step * factor) >= 4) { step *= factor; break; }
  pen.fillStyle = css("--soft");
  pen.strokeStyle = css("--line");
  pen.textAlign = "center";
  pen.lineWidth = 1;
  for (let at = Math.ceil((view.from - begin()) / step) * step; at <= view.to - begin(); at += step) {
    const x = Math.round(xOf(at + begin(), width)) + 0.5;
    pen.beginPath();
    pen.moveTo(x, top);
    pen.lineTo(x, height - AXIS + 4);
    pen.stroke();
    if (x > GUTTER + 8 && x < width - 20) pen.fillText(duration(at), x, height - AXIS / 2 + 1);
  }
}

// Lanes by name, numbers in names as numbers; what was interrupted above what interrupts it.
function laneRows() {
  const names = new Intl.Collator("en", { numeric: true });
  const order = data.lanes.map((_, i) => i);
  const isDiskLane = lane => lane.name === "dask-rs-spill";
  order.sort((a, b) => isDiskLane(data.lanes[a]) - isDiskLane(data.lanes[b]) || names.compare(data.lanes[a].name, data.lanes[b].name) || data.lanes[a].depth - data.lanes[b].depth || a - b);
  const rows = [];
  order.forEach((lane, row) => { rows[lane] = row; });
  return { order, rows };
}

function drawStream() {
  const { order, rows } = laneRows();
  const row = rowHeight(order.length);
  const { pen, width, height } = prepare($("stream"), Math.max(order.length, 1) * row + AXIS);
  drawAxis(pen, width, 0, height);
  pen.textAlign = "right";
  order.forEach((lane, i) => {
    pen.fillStyle = css("--soft");
    const { name, depth } = data.lanes[lane];
    let text = depth ? "↳ inside" : name === "dask-rs-spill" ? "disk" : name;
    while (pen.measureText(text).width > GUTTER - 14) text = text.slice(0, -2) + "…";
    pen.fillText(text, GUTTER - 10, i * row + row / 2);
    pen.fillStyle = css("--faint");
    pen.fillRect(GUTTER, i * row + row - 1, width - GUTTER, 1);
  });
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER, 0, width - GUTTER, height);
  pen.clip();
  const painted = new Float64Array(order.length).fill(-1);
  const bad = css("--bad");
  const paint = (lane, op, start, end, alpha, ok) => {
    if (end < view.from || start > view.to) return;
    const x = xOf(start, width), right = Math.max(xOf(end, width), x + 0.7), i = rows[lane];
    // What would hide behind what is there already is left out.
    if (right - painted[i] < 0.5 && ok && right > painted[i] - 2) return;
    painted[i] = right;
    pen.globalAlpha = hovered >= 0 && hovered !== op ? 0.12 : alpha;
    pen.fillStyle = ok ? color(op) : bad;
    const gap = right - x > 4 ? 0.6 : 0;
    pen.fillRect(x, i * row + 2, right - x - gap, row - 5);
    if (!ok) { pen.globalAlpha = 1; pen.fillRect(x - 1, i * row, Math.max(right - x, 3), row); }
  };
  for (const bars of [data.bars, data.growing]) for (const [lane, op, start, length, busy, , ok] of bars)
    paint(lane, op, start, start + length, length ? 0.35 + 0.65 * Math.min(1, busy / length) : 1, ok);
  for (const [lane, op, start] of data.running) paint(lane, op, start, data.now, 0.45, 1);
  pen.restore();
  // For those who can't see it.
  $("stream").setAttribute("aria-label", `${count(data.bars.length + data.growing.length + data.running.length)} bars on ${count(order.length)} lanes`);
  if (!order.length) {
    pen.fillStyle = css("--soft");
    pen.textAlign = "left";
    pen.fillText("nothing has run yet", GUTTER, row / 2);
  }
}

let samples = [], nSamples = -1;
function sortedMemory() {
  if (data.memory.size !== nSamples || data.live) {
    samples = [...data.memory].sort((a, b) => a[0] - b[0]);
    nSamples = data.memory.size;
  }
  return samples;
}

function drawMemory() {
  const { pen, width, height } = prepare($("memory"), MEMORY_HEIGHT);
  const [, peak, limit] = data.totals;
  const showsLimit = peak > limit / 8;
  const top = Math.max(showsLimit ? limit * 1.06 : peak * 1.15, 1);
  const bottom = height - AXIS;
  const yOf = n => 4 + (1 - Math.min(n, top) / top) * (bottom - 4);
  drawAxis(pen, width, 4, height);
  const all = sortedMemory();
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER, 0, width - GUTTER, height);
  pen.clip();
  // The most in each column of pixels, held until the next sample.
  const columns = Math.max(1, Math.ceil(width - GUTTER));
  const most = new Float64Array(columns);
  let held = 0, column = 0;
  for (const [at, n] of all) {
    const x = Math.floor(xOf(at, width) - GUTTER);
    for (; column < Math.min(x, columns); column++) most[column] = Math.max(most[column], held);
    if (x >= 0 && x < columns) most[x] = Math.max(most[x], n, x === column ? held : 0);
    held = n;
  }
  const last = Math.floor(xOf(finish(), width) - GUTTER);
  for (; column <= Math.min(last, columns - 1); column++) most[column] = Math.max(most[column], data.live ? held : Math.min(held, most[column] || held));
  pen.beginPath();
  pen.moveTo(GUTTER, bottom);
  for (let i = 0; i < columns; i++) { pen.lineTo(GUTTER + i, yOf(most[i])); pen.lineTo(GUTTER + i + 1, yOf(most[i])); }
  pen.lineTo(width, bottom);
  pen.fillStyle = css("--area");
  pen.fill();
  pen.strokeStyle = css("--accent");
  pen.lineWidth = 1.25;
  pen.stroke();
  if (showsLimit) {
    pen.setLineDash([5, 4]);
    pen.strokeStyle = css("--bad");
    pen.beginPath();
    pen.moveTo(GUTTER, yOf(limit));
    pen.lineTo(width, yOf(limit));
    pen.stroke();
    pen.setLineDash([]);
  }
  pen.restore();
  pen.textAlign = "right";
  pen.fillStyle = css("--soft");
  const marks = showsLimit ? [limit, limit / 2, 0] : [peak, peak / 2, 0];
  marks.forEach((n, i) => {
    if (i === 0 && showsLimit) pen.fillStyle = css("--bad");
    pen.fillText(i === 0 && showsLimit ? `limit ${bytes(n)}` : bytes(n), GUTTER - 10, Math.max(8, yOf(n) - (i === 2 ? 5 : 0)));
    pen.fillStyle = css("--soft");
  });
  const said = limit ? `at most ${bytes(peak)} of ${bytes(limit)}` : "";
  $("limit").textContent = limit ? `blocks and running tasks; ${said}` : "";
  $("memory").setAttribute("aria-label", said);
}

// Cards and tables

function card(name, value, small, part) {
  const made = element("div", "card");
  made.append(element("div", "name", name));
  const line = element("div", "value", value);
  if (small) line.append(" ", element("small", "", small));
  made.append(line);
  if (part !== undefined) {
    const meter = element("div", "meter"), fill = element("i");
    fill.style.width = `${Math.min(100, part * 100)}%`;
    meter.append(fill);
    made.append(meter);
  }
  return made;
}

function drawCards() {
  let done = 0, all = 0, failed = 0, busy = 0;
  for (const [, n, finished, wrong, time] of data.ops) if (n) { done += finished; all += n; failed += wrong; busy += time; }
  const [nRuns, peak, limit, spilled, reread] = data.totals;
  const elapsed = finish() - begin();
  let active = 0;
  const ranges = data.runs.filter(Boolean).map(run => [run[3], run[4] ?? finish()]).sort((a, b) => a[0] - b[0]);
  for (let i = 0, end = 0; i < ranges.length; i++) { active += Math.max(0, ranges[i][1] - Math.max(end, ranges[i][0])); end = Math.max(end, ranges[i][1]); }
  const cards = [
    card("Tasks", count(done), all > done ? `of ${count(all)}` : "", all ? done / all : 0),
    card("Time in runs", duration(active), `of ${duration(elapsed)}`),
    card("Threads busy", active ? (busy / active).toFixed(2) : "0", "on average"),
    card("Peak memory", bytes(peak), limit ? `of ${bytes(limit)}` : "", limit ? peak / limit : 0),
    card("To disk", bytes(spilled), reread ? `+ ${bytes(reread)} read again` : ""),
    card("Runs", count(nRuns), failed ? `${count(failed)} tasks failed` : ""),
  ];
  $("cards").replaceChildren(...cards);
}

const OP_HEADS = ["operation", "tasks", "time", "share", "mean", "longest", "output"];
const sort = { by: isLive ? -1 : 2 };
function drawOps() {
  const total = data.ops.reduce((sum, op) => sum + op[4], 0) || 1;
  const rows = data.ops.map((op, i) => {
    const [name, n, finished, failed, busy, longest, out] = op;
    return { i, name, n, finished, failed, keys: [name, finished, busy, busy, busy / (finished + failed || 1), longest, out] };
  });
  if (sort.by >= 0) rows.sort((a, b) => sort.by === 0 ? a.name.localeCompare(b.name) : b.keys[sort.by] - a.keys[sort.by]);
  const head = OP_HEADS.map((name, i) => {
    const th = element("th", sort.by === i ? "sorted" : "", name);
    th.onclick = () => { sort.by = sort.by === i ? -1 : i; drawOps(); };
    return th;
  });
  $("ops").tHead.rows[0].replaceChildren(...head);
  $("ops").tBodies[0].replaceChildren(...rows.map(row => {
    const [, , busy, , mean, longest, out] = row.keys;
    const tr = element("tr"), name = element("td", "name"), swatch = element("span", "swatch");
    swatch.style.background = color(row.i);
    name.append(swatch, row.name);
    name.title = row.name;
    const tasks = element("td", "", row.n > row.finished ? `${count(row.finished)} of ${count(row.n)}` : count(row.finished));
    if (row.failed) tasks.append(" ", element("span", "failed", `${count(row.failed)} failed`));
    const progress = element("span", "progress"), fill = element("i");
    fill.style.cssText = `width:${row.n ? row.finished / row.n * 100 : 100}%;background:${color(row.i)}`;
    progress.append(fill);
    tasks.append(progress);
    tr.append(name, tasks, element("td", "", duration(busy)), element("td", "", `${(busy / total * 100).toFixed(1)} %`), element("td", "", duration(mean)),
      element("td", "", duration(longest)), element("td", "", bytes(out)));
    tr.onmouseenter = () => { hovered = row.i; drawStream(); };
    tr.onmouseleave = () => { hovered = -1; drawStream(); };
    return tr;
  }));
}

const RUN_HEADS = ["run", "called", "began", "took", "tasks", "peak memory", "to disk", "result"];
function drawRuns() {
  const shown = data.runs.filter(Boolean).slice(-100).reverse();
  const more = data.totals[0] - shown.length;
  $("moreruns").textContent = more > 0 ? `and ${count(more)} others` : "";
  $("runs").tHead.rows[0].replaceChildren(...RUN_HEADS.map((name, i) => element("th", i === 1 || i === 7 ? "left" : "", name)));
  $("runs").tBodies[0].replaceChildren(...shown.map(([, id, call, start, end, n, finished, , peak, spilled, , error]) => {
    const tr = element("tr"), called = element("td", "left"), at = call.indexOf(" at ");
    called.append(at < 0 ? call : call.slice(0, at), element("span", "at", at < 0 ? "" : call.slice(at)));
    const result = element("td", "wrap");
    if (error) result.append(element("span", "failed", error));
    else result.append(end === null ? (isLive ? "running" : "not finished") : "done");
    tr.append(element("td", "", id), called, element("td", "", duration(start - begin())), element("td", "", duration((end ?? finish()) - start)),
      element("td", "", finished < n ? `${count(finished)} of ${count(n)}` : count(n)), element("td", "", bytes(peak)), element("td", "", bytes(spilled)), result);
    return tr;
  }));
}

let nPictures = 0, shownPicture = -1;
function drawGraphs() {
  if (data.pictures.length !== nPictures) {
    nPictures = data.pictures.length;
    $("graphs").hidden = nPictures === 0;
    const chosen = $("graph").value;
    $("graph").replaceChildren(...data.pictures.map(([id], i) => {
      const run = data.runs.find(run => run && run[1] === id), option = element("option", "", `run ${id}${run ? `: ${run[2]}` : ""}`);
      option.value = i;
      return option;
    }));
    $("graph").value = chosen || String(nPictures - 1);
  }
  const i = Number($("graph").value);
  if (nPictures && i !== shownPicture) {
    shownPicture = i;
    // As XML: texts in it were escaped, and what is not well-formed is not shown.
    const svg = new DOMParser().parseFromString(data.pictures[i][1], "image/svg+xml").documentElement;
    if (svg.nodeName !== "svg") return;
    svg.style.maxWidth = "100%";
    svg.style.height = "auto";
    $("picture").replaceChildren(document.importNode(svg, true));
  }
}

function drawState(problem) {
  const failed = data.runs.some(run => run && run[11]);
  let [text, kind, note] = ["idle", "", isLive ? "waiting for something to run" : "nothing ran"];
  if (problem) [text, kind, note] = ["not connected", "bad", problem];
  else if (data.live && isLive) [text, kind, note] = ["running", "busy", `${data.live} run${data.live > 1 ? "s" : ""} now`];
  else if (!isLive && !data.end) [text, kind, note] = ["not finished", "bad", "The program was still running when this was read, or it ended without finishing its report."];
  else if (failed) [text, kind, note] = ["failed", "bad", "see runs"];
  else if (data.runs.length) [text, kind, note] = [isLive ? "idle" : "finished", "good", ""];
  $("state").textContent = text;
  $("state").className = `pill ${kind}`;
  $("note").textContent = note;
  document.title = `${text} – dask-rs`;
}

function drawAll() {
  updateView();
  drawState();
  drawCards();
  drawStream();
  drawMemory();
  drawOps();
  drawRuns();
  drawGraphs();
}

// Looking closer

function showTip(event, text) {
  const tip = $("tip");
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - width - 8)}px`;
  tip.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
}

function barAt(x, y, width) {
  const { order } = laneRows();
  const lane = order[Math.floor(y / rowHeight(order.length))], at = atOf(x, width);
  const slack = (view.to - view.from) / width * 1.5;
  let best = null, distance = slack;
  const look = (bar, start, end) => {
    const away = at < start ? start - at : at > end ? at - end : 0;
    if (away < distance || away === 0) [best, distance] = [bar, Math.min(away, distance)];
  };
  for (const bars of [data.bars, data.growing]) for (const bar of bars) if (bar[0] === lane) look({ op: bar[1], start: bar[2], length: bar[3], busy: bar[4], n: bar[5], ok: bar[6] }, bar[2], bar[2] + bar[3]);
  for (const run of data.running) if (run[0] === lane) look({ op: run[1], start: run[2], length: data.now - run[2], n: 0, ok: 1 }, run[2], data.now);
  return best && { ...best, lane };
}

function tipOfBar(bar) {
  if (!bar) return "";
  const name = data.ops[bar.op]?.[0] ?? "", lines = [name];
  if (bar.n === 0) lines.push(`running for ${duration(bar.length)}`);
  else if (bar.n > 1) lines.push(`and others: ${count(bar.n)} short tasks in ${duration(bar.length)}, ${(bar.busy / bar.length * 100).toFixed(0)} % busy`);
  else lines.push(duration(bar.length));
  if (!bar.ok) lines.push("failed");
  lines.push(`after ${duration(bar.start - begin())} on ${data.lanes[bar.lane].name}`);
  return lines.join("\n");
}

function tipOfMemory(x, width) {
  const at = atOf(x, width), all = sortedMemory();
  let low = 0, high = all.length;
  while (low < high) { const middle = (low + high) >> 1; if (all[middle][0] <= at) low = middle + 1; else high = middle; }
  return low ? `${bytes(all[low - 1][1])}\nafter ${duration(Math.max(0, at - begin()))}` : "";
}

function explore(canvas, tip) {
  let dragged = null;
  const place = event => event.clientX - canvas.getBoundingClientRect().left;
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    const at = atOf(Math.max(place(event), GUTTER), canvas.clientWidth), factor = Math.exp(event.deltaY * 0.0015);
    const span = Math.max(20, Math.min((view.to - view.from) * factor, (finish() - begin()) * 2));
    const part = (at - view.from) / (view.to - view.from);
    [view.from, view.to, view.isAll, view.last] = [at - part * span, at + (1 - part) * span, false, 0];
    markSpans();
    drawStream();
    drawMemory();
  }, { passive: false });
  canvas.addEventListener("pointerdown", event => { dragged = { x: place(event), from: view.from, to: view.to }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { dragged = null; });
  canvas.addEventListener("pointerleave", event => showTip(event, ""));
  canvas.addEventListener("pointermove", event => {
    if (dragged) {
      const moved = (place(event) - dragged.x) / (canvas.clientWidth - GUTTER) * (dragged.to - dragged.from);
      [view.from, view.to, view.isAll, view.last] = [dragged.from - moved, dragged.to - moved, false, 0];
      markSpans();
      drawStream();
      drawMemory();
    }
    showTip(event, dragged || place(event) < GUTTER ? "" : tip(event));
  });
  canvas.addEventListener("dblclick", () => { [view.isAll, view.last] = [true, 0]; markSpans(); updateView(); drawStream(); drawMemory(); });
}

function markSpans() {
  for (const button of $("spans").children) button.className = (view.isAll && !view.last ? "0" : String(view.last)) === button.dataset.seconds && (view.isAll || view.last) ? "on" : "";
}

function listen() {
  explore($("stream"), event => { const place = $("stream").getBoundingClientRect(); return tipOfBar(barAt(event.clientX - place.left, event.clientY - place.top, place.width)); });
  explore($("memory"), event => { const place = $("memory").getBoundingClientRect(); return tipOfMemory(event.clientX - place.left, place.width); });
  for (const button of $("spans").children)
    button.onclick = () => { view.last = Number(button.dataset.seconds); view.isAll = !view.last; markSpans(); drawAll(); };
  $("graph").onchange = drawGraphs;
  addEventListener("resize", () => { drawStream(); drawMemory(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
}

// Where the parts come from

function readReport() {
  for (const part of document.querySelectorAll("script.part")) {
    // The last one may be torn.
    try { apply(JSON.parse(part.textContent)); } catch { continue; }
  }
  drawAll();
}

let cursor = "", program = null;
async function ask() {
  let wait = 500;
  try {
    const query = new URLSearchParams({ cursor });
    const token = new URLSearchParams(location.search).get("token");
    if (token) query.set("token", token);
    const answer = await fetch(`data?${query}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(await answer.text());
    const told = await answer.json();
    if (program !== null && program !== told.program) location.reload();
    [program, cursor] = [told.program, told.cursor];
    apply(told.part);
    if (told.more) wait = 0;
    drawAll();
  } catch (error) {
    wait = 2000;
    drawState(`${error.message || error}; trying again`);
  }
  setTimeout(ask, wait);
}

document.addEventListener("DOMContentLoaded", () => { listen(); if (isLive) ask(); else readReport(); });
