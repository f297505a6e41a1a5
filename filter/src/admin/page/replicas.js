// The replicas: a card or a row for each, sorted and searched.
const few = 7, wide = matchMedia("(min-width: 80rem)");
const tones = { healthy: "good", unhealthy: "bad", drain: "away", maintenance: "away" };
const states = ["unhealthy", "held", "full", "starting", "maintenance", "drain", "healthy"];
const sections = new Map(), rows = new Map();
let sorted = { key: "", falls: false };

// What a column is called, what it is sorted by, and how many of them begin with the most.
const columns = [
  ["name", "replica", row => row.replica.name, false],
  ["state", "state", row => states.indexOf(row.replica.state), false],
  ["since", "for", row => row.replica.since_unix_ms ?? 0, true],
  ["sessions", "sessions / most", row => row.replica.connections.active, true],
  ["failures", "connect failures", row => row.replica.connections.failures, true],
  ["bytes", "bytes in / out", row => row.moved, true],
  ["rate", "rate", row => rate(row.past), true],
  ["check", "last check", row => row.last ? row.last.latency_us : -1, true],
  ["downtime", "downtime", row => row.replica.downtime_ms, true],
  ["reason", "", null],
  ["orders", "orders", null],
];
const numeric = new Set(["sessions", "bytes", "failures", "downtime"]);

function section(name) {
  if (sections.has(name)) return sections.get(name);
  const root = make("section"), head = make("div", "head"), line = make("tr");
  const part = { root, head, title: make("h2"), health: make("span", "health"), facts: make("p", "facts"), notice: make("p", "notice"), old: make("p", "notice old"), list: make("ul", "differ"), view: make("p", "facts"), table: make("table"), thead: make("thead", "", line), body: make("tbody"), buttons: {}, heads: {} };
  part.notice.setAttribute("role", "alert");
  for (const [key, label, by, falls] of columns) {
    const cell = part.heads[key] = make("th", key + (numeric.has(key) ? " number" : ""));
    cell.scope = "col";
    if (by) {
      const button = make("button", "", label);
      button.type = "button";
      button.onclick = () => sort(key, falls);
      cell.append(button);
    } else cell.append(make("span", "unseen", label));
    line.append(cell);
  }
  head.append(part.title, part.health, part.facts);
  part.table.append(part.thead, part.body);
  root.append(head, part.notice, part.old, part.list, part.view, part.table);
  sections.set(name, part);
  return part;
}

function row(name) {
  if (rows.has(name)) return rows.get(name);
  const one = { root: make("tr"), cells: {}, texts: {}, orders: {}, past: [], moved: 0, checks: new Map() };
  for (const [key, label] of columns) {
    const cell = one.cells[key] = make(key === "name" ? "th" : "td", key + (numeric.has(key) ? " number" : ""));
    if (key === "name") cell.scope = "row";
    if (label) cell.append(make("span", "label", label));
    cell.append(one.texts[key] = make(key === "state" || key === "name" ? "b" : "span"));
    one.root.append(cell);
  }
  write(one.texts.name, name);
  one.cells.name.append(one.address = make("span", "soft"));
  one.cells.state.append(one.why = make("span", "why"));
  one.texts.reason.className = "why";
  one.cells.rate.append(one.chart = chart());
  one.cells.check.append(one.latencies = chart());
  one.latencies.classList.add("checks");
  for (const state of ["ready", "drain", "maintenance"]) {
    const button = one.orders[state] = make("button", "", state === "maintenance" ? "maint." : state);
    button.type = "button";
    button.setAttribute("aria-label", state + " " + name);
    button.title = state;
    button.onclick = () => order(name, state);
    one.cells.orders.append(button);
  }
  rows.set(name, one);
  return one;
}

// The status holds the last few answers; the page remembers them for ten minutes.
function latencies(one, now) {
  for (const check of one.replica.checks)
    for (const answer of check.answers)
      one.checks.set(check.name + " " + answer.unix_ms, { at: answer.unix_ms, value: answer.latency_us, miss: answer.reason });
  for (const [key, answer] of one.checks) if (answer.at < now - 10 * minute) one.checks.delete(key);
  return [...one.checks.values()].sort((a, b) => a.at - b.at);
}

function why(replica) {
  const lines = [];
  if (replica.reason) lines.push(replica.reason + (replica.component ? " (" + replica.component + ")" : "") + (replica.error ? ": " + replica.error : ""));
  if (replica.held_for_ms) lines.push("connections to it failed; held back for another " + span(replica.held_for_ms));
  if (replica.comment) lines.push("by the operator: " + replica.comment);
  if (replica.state === "full") lines.push("it has all " + replica.max_connections + " connections it may have");
  return lines.join("\n");
}

function fill(one, now) {
  const { replica, texts } = one, reason = why(replica);
  one.last = replica.checks.flatMap(check => check.answers.slice(-1)).sort((a, b) => b.unix_ms - a.unix_ms)[0];
  write(one.address, [replica.address === replica.name ? "" : replica.address, replica.weight === 1 ? "" : "weight " + replica.weight, replica.backup ? "backup" : ""].filter(Boolean).join(" · "));
  one.root.style.setProperty("--tone", "var(--" + (tones[replica.state] || "wait") + ")");
  show(one.why, reason);
  write(texts.reason, reason);
  one.cells.reason.hidden = !reason;
  write(texts.since, replica.since_unix_ms === null ? "–" : span(now - replica.since_unix_ms));
  write(texts.sessions, replica.connections.active.toLocaleString() + " / " + replica.connections.most.toLocaleString());
  write(texts.failures, replica.connections.failures.toLocaleString());
  write(texts.downtime, replica.downtime_ms ? span(replica.downtime_ms) : "–");
  texts.check.classList.toggle("failed", !!one.last?.reason);
  write(texts.check, one.last ? (one.last.reason || "ok") + " · " + (one.last.latency_us / 1000).toFixed(one.last.latency_us < 9950 ? 1 : 0) + " ms" + (now - one.last.unix_ms < 10000 ? "" : " · " + span(now - one.last.unix_ms) + " ago") : "none yet");
  plot(one.latencies, latencies(one, now), now, 10 * minute);
  for (const [state, button] of Object.entries(one.orders)) button.setAttribute("aria-pressed", replica.order === state);
}

// Bytes where the host counts them, new sessions elsewhere.
function fill_traffic(one, host, now) {
  const moved = host?.replicas.find(it => it.name === one.replica.name);
  one.moved = moved ? moved.bytes_to_replica + moved.bytes_to_client : 0;
  one.cells.bytes.hidden = !host;
  if (moved) write(one.texts.bytes, amount(moved.bytes_to_replica) + " / " + amount(moved.bytes_to_client));
  remember(one.past, now, host ? one.moved : one.replica.connections.total);
  write(one.texts.rate, host ? amount(rate(one.past)) + "/s" : rate(one.past).toFixed(1) + " new/s");
  plot(one.chart, one.past.slice(1), now, minute);
}

function sort(key, falls) {
  if (sorted.key !== key) sorted = { key, falls };
  else if (sorted.falls === falls) sorted.falls = !falls;
  else sorted = { key: "", falls: false };
  for (const part of sections.values()) arrange(part);
}
function arrange(part) {
  const by = columns.find(column => column[0] === sorted.key)?.[2], focused = document.activeElement;
  for (const [key, cell] of Object.entries(part.heads))
    if (key === sorted.key) cell.setAttribute("aria-sort", sorted.falls ? "descending" : "ascending"); else cell.removeAttribute("aria-sort");
  const own = [...rows.values()].filter(one => one.root.parentNode === part.body);
  const compare = (a, b) => typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
  own.sort((a, b) => (by ? compare(by(a), by(b)) * (sorted.falls ? -1 : 1) : 0) || a.place - b.place);
  if (own.some((one, at) => part.body.children[at] !== one.root)) part.body.append(...own.map(one => one.root));
  if (focused !== document.activeElement) focused?.focus({ preventScroll: true });
}

function search() {
  const words = find("tools").hidden ? [] : find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const one of rows.values()) {
    const { name, address, state, order, weight, backup } = one.replica;
    const text = [name, address, state, order, "weight " + weight, backup ? "backup" : "", why(one.replica)].join(" ").toLowerCase();
    one.root.hidden = !words.every(word => text.includes(word));
    if (!one.root.hidden) found++;
  }
  write(find("found"), words.length ? found + " of " + counted(rows.size, "replica", "replicas") : "");
}
