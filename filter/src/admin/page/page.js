// What is asked for, what of it is shown, and what is ordered.
const refresh = 2000, late = 2 * refresh;
// Without a user and a password, which the page's own address may have.
const here = location.origin + location.pathname.replace(/[^/]*$/, "");
const pasts = new Map(), total = [];
let token = sessionStorage.getItem("token"), registries = [], hosted = true;
// What was answered last and when, by the page's own clock; why nothing is now.
let answered, fault = "", newest, all_events = false;
// Why the balancer is about to end, if it is.
const phases = {
  "drain-announced": "A drain is announced: new connections are accepted until drain_delay is over.",
  draining: "The balancer drains: no new connections are accepted, and it ends once those that are open have ended.",
};
let leaving = "";
// What came of the last order, for a while.
let problem = { text: "", until: 0 }, asked = 0, shown = 0;

// In one sentence, however many replicas there are: which ports have none, why, and what clients get.
function outage(registry) {
  const ports = registry.listeners.filter(listener => !listener.usable).map(listener => listener.port), whys = new Map();
  const away = registry.replicas.every(replica => replica.state === "drain" || replica.state === "maintenance");
  const add = (to, what) => to.set(what, (to.get(what) || 0) + 1);
  const reasons = new Map(), most = map => [...map].sort((a, b) => b[1] - a[1]);
  for (const replica of registry.replicas) {
    if (replica.state !== "healthy") add(whys, { drain: "in drain", maintenance: "in maintenance" }[replica.state] || replica.state);
    if (replica.state === "unhealthy") add(reasons, replica.reason || "unknown");
  }
  const detail = " (" + most(reasons).map(([reason, number]) => reason + (reasons.size > 1 ? " " + number : "")).join(", ") + ")";
  const of = most(whys).map(([why, number]) => number + " " + why + (why === "unhealthy" ? detail : "")).join(", ");
  if (ports.length && registry.healthy) return "No replica of " + registry.fqdn + " is as it should be on " + list(ports.map(port => "port " + port)) + ": " + of + "; clients are led to those held back.";
  if (ports.length) return "No replica is left for " + registry.fqdn + " on " + list(ports.map(port => "port " + port)) + ": " + of + "; new clients are " + (registry.when_all_down === "try-all" && !away ? "led to unhealthy ones." : "refused.");
  return registry.healthy ? "" : "Fewer than the " + registry.min_healthy + " replicas of " + registry.fqdn + " that have to be usable are: " + of + ".";
}

function count(replicas) { return replicas.filter(replica => replica.usable).length + " of " + replicas.length + " usable"; }
function tone(node, healthy, replicas) { node.style.setProperty("--tone", "var(--" + (healthy ? replicas.every(replica => replica.usable && !replica.held_for_ms) ? "good" : "wait" : "bad") + ")"); }
function probing(registry) {
  const lease = registry.lease;
  return registry.policy + " · " + (lease.held_for_ms === null ? "no worker probes yet" : "probed by one worker for " + span(lease.held_for_ms));
}

function render({ status, host }) {
  const several = status.services, now = status.now_unix_ms;
  registries = several || [status];
  const every = registries.flatMap(registry => registry.replicas), name = several ? counted(several.length, "service", "services") : status.fqdn;
  write(find("name"), name);
  write(find("health"), count(every));
  tone(find("health"), registries.every(registry => registry.healthy), every);
  leaving = phases[host?.phase] || "";
  facts(status, host);
  const known = new Set(registries.map(registry => registry.service?.name || "")), names = new Set(every.map(replica => replica.name));
  for (const [name, part] of sections) if (!known.has(name)) { part.root.remove(); sections.delete(name); }
  for (const [name, one] of rows) if (!names.has(name)) { one.root.remove(); rows.delete(name); }
  for (const registry of registries) render_registry(registry, host, every.length);
  find("tools").hidden = every.length <= few;
  search();
  ports(host);
  events(several ? registries.flatMap(registry => registry.events).sort((a, b) => a.unix_ms - b.unix_ms) : status.events);
}

function facts(status, host) {
  const node = find("facts"), parts = ["dtr-lb " + status.program];
  if (!status.services) parts.push(probing(status));
  if (host) {
    const now = host.now_unix_ms, moved = host.listeners.reduce((sum, it) => sum + it.bytes_to_replica + it.bytes_to_client, 0);
    parts.push("up for " + span(now - host.started_unix_ms), "configuration in use for " + span(now - host.configured_unix_ms));
    if (!host.last_reload_succeeded) parts.push(make("b", "", "the last reload failed"));
    parts.push(host.connections.active.toLocaleString() + " of " + host.connections.limit.toLocaleString() + " connections", amount(rate(remember(total, now, moved))) + "/s");
  } else parts.push(counted(status.connections.active, "connection", "connections") + (status.connections.limit ? " of " + status.connections.limit.toLocaleString() : ""));
  node.replaceChildren(...parts.flatMap((part, at) => at ? [" · ", part] : [part]));
}

function render_registry(registry, host, all) {
  const now = registry.now_unix_ms, service = registry.service, part = section(service?.name || "");
  part.head.hidden = !service;
  if (service) {
    write(part.title, service.name);
    write(part.health, count(registry.replicas));
    tone(part.health, registry.healthy, registry.replicas);
    write(part.facts, service.names.join(", ") + " · " + probing(registry));
  }
  show(part.notice, outage(registry));
  const idle = registry.lease.renewed_ms_ago;
  show(part.old, idle > 10000 ? "No worker has probed for " + span(idle) + ": what is known of the replicas is as old." : "");
  part.root.classList.toggle("stale", idle > 10000);
  view(part, registry);
  // A card for each while they are few, or where a table has no room.
  const cards = all <= few || !wide.matches;
  part.table.className = (cards ? "cards" : "wide") + (all <= few ? "" : " many");
  part.thead.hidden = all <= few;
  part.table.setAttribute("aria-label", "replicas" + (service ? " of " + service.name : ""));
  part.heads.bytes.hidden = !host;
  for (const [place, replica] of registry.replicas.entries()) {
    const one = row(replica.name);
    Object.assign(one, { replica, place, old: idle > 10000 });
    fill(one, now);
    fill_traffic(one, host, host ? host.now_unix_ms : now);
    if (one.root.parentNode !== part.body) part.body.append(one.root);
  }
  // Nothing moves away from under a pointer or a finger.
  if (!part.body.matches(":hover") && !part.body.contains(document.activeElement)) arrange(part);
  if (!part.root.isConnected) find("services").append(part.root);
}

// What the replicas disagree about, and what the registry says of them.
function view(part, registry) {
  const differ = registry.disagreements.map(it =>
    (it.replicas.slice(0, 8).join(", ") || "this machine") + (it.replicas.length > 8 ? " and " + (it.replicas.length - 8) + " more" : "") + ": " + it.text);
  const own = registry.cluster_status, found = (own?.findings || []).map(it => "the registry: " + it.text);
  const every = [...differ, ...found], shown = every.slice(0, 20);
  if (every.length > shown.length) shown.push("and " + (every.length - shown.length) + " more, in /status");
  part.list.hidden = !every.length;
  part.list.replaceChildren(...shown.map(text => make("li", "", text)));
  show(part.view, own ? "The registry's own view of its replicas, " + span(registry.now_unix_ms - own.unix_ms) + " ago: " + (found.length ? counted(found.length, "finding", "findings") : own.ok ? "as here" : "no answer") : "");
}

function ports(host) {
  const table = find("ports").querySelector("table"), head = text => Object.assign(make("th", "", text), { scope: "col" }), heads = ["port", "usable", "checks"], lines = [];
  if (host) heads.push("connections", "bytes in / out", "rate", "refused");
  if (registries.length > 1) heads.unshift("service");
  for (const registry of registries)
    for (const listener of registry.listeners) {
      const line = [make("b", "", String(listener.port)), listener.usable + " of " + registry.replicas.length, listener.checks.join(", ")];
      const own = host?.listeners.find(it => it.port === listener.port);
      if (own) {
        const past = pasts.get(listener.port) || [], moved = own.bytes_to_replica + own.bytes_to_client;
        pasts.set(listener.port, remember(past, host.now_unix_ms, moved));
        const svg = chart(), speed = make("span", "", amount(rate(past)) + "/s", svg), refused = Object.entries(own.refused).sort((a, b) => b[1] - a[1]);
        plot(svg, past.slice(1), host.now_unix_ms, minute);
        line.push(own.connections.toLocaleString(), amount(own.bytes_to_replica) + " / " + amount(own.bytes_to_client), speed,
          refused.length ? make("span", "failed", refused.map(([reason, number]) => number.toLocaleString() + " " + reason).join(", ")) : "none");
      } else if (host) line.push("", "", "", "");
      if (registries.length > 1) line.unshift(registry.service.name);
      lines.push(make("tr", "", ...line.map((cell, at) => make("td", "", make("span", "label", heads[at]), cell))));
    }
  table.tHead.replaceChildren(make("tr", "", ...heads.map(head)));
  table.tBodies[0].replaceChildren(...lines);
  table.className = wide.matches ? "wide" : "cards";
  table.tHead.hidden = !wide.matches;
  find("ports").hidden = false;
  const turned = Object.entries(host?.connections.closed || {}).filter(([reason]) => ["no-replica", "local-resources", "hello-timeout", "internal-error"].includes(reason));
  show(find("elsewhere"), !host ? "Bytes, rates and refusals are in this proxy's own statistics: an Envoy has them on its admin port." :
    turned.length ? "Of all ports, closed without a replica: " + turned.map(([reason, number]) => number.toLocaleString() + " " + reason).join(", ") : "");
}

function events(past) {
  const shown = past.slice(all_events ? 0 : -8).reverse(), more = find("more");
  find("events").replaceChildren(...shown.map(event => {
    const time = make("time", "", clock(event.unix_ms));
    time.dateTime = new Date(event.unix_ms).toISOString();
    return make("li", event.level, time, make("span", "", event.text + (event.client ? " (from " + event.client + ")" : "")));
  }));
  find("past").hidden = !past.length;
  more.hidden = past.length <= 8;
  write(more, all_events ? "the last 8" : "all " + past.length);
  more.setAttribute("aria-expanded", all_events);
  const last = past[past.length - 1]?.unix_ms || 0;
  if (newest !== undefined) say(past.filter(event => event.unix_ms > newest).slice(-3).map(event => event.text).join(". "));
  newest = last;
}
function say(text) { if (text) write(find("live"), text); }

// Whether what is shown may be out of date: after an answer that did not come, and at once
// when one is late. Then nothing has a colour, and nothing is called healthy.
function freshen() {
  const age = answered ? Date.now() - answered.at : Infinity, stale = !!fault || age > late, before = document.body.classList.contains("stale");
  document.body.classList.toggle("stale", stale);
  write(find("fresh"), !answered ? fault || "asking …" : stale ? "STALE: last answer " + span(age) + " ago" : "live");
  show(find("notice"), fault || (Date.now() < problem.until && problem.text) || leaving);
  for (const one of rows.values()) write(one.texts.state, (stale || one.old ? "was " : "") + one.replica.state);
  const bad = leaving || registries.some(registry => !registry.healthy);
  document.title = (stale ? "? " : bad ? "! " : "") + find("name").textContent + " – dtr-lb";
  if (stale !== before) say(stale ? "the balancer does not answer; what is shown is stale" : answered ? "the balancer answers" : "");
}

// The ports of which a replica is the last one that serves, and whose clients they are.
function serves_alone(name) {
  for (const registry of registries) {
    if (!registry.replicas.some(replica => replica.name === name)) continue;
    const serves = (replica, listener) => replica.order === "ready"
      && listener.checks.every(check => replica.checks.find(it => it.name === check)?.verdict === "healthy");
    const alone = registry.listeners.filter(listener => {
      const left = registry.replicas.filter(replica => serves(replica, listener));
      return left.length === 1 && left[0].name === name;
    });
    return { fqdn: registry.fqdn, ports: alone.map(listener => listener.port) };
  }
  return { ports: [] };
}

async function order(name, state) {
  const { fqdn, ports } = serves_alone(name);
  if (state !== "ready" && ports.length && !confirm(name + " is the last usable replica on port " + ports.join(", ") + ": without it new clients of " + fqdn + " are turned away there. Take it out all the same?")) return;
  await send(name, state);
}

async function send(name, state) {
  const buttons = Object.values(row(name).orders), focused = document.activeElement;
  const failed = text => problem = { text, until: Date.now() + 15000 };
  failed("");
  buttons.forEach(button => button.disabled = true);
  try {
    const headers = { "content-type": "application/json" };
    if (token) headers.authorization = "Bearer " + token;
    const answer = await fetch(here + "replicas/" + name.split("/").map(encodeURIComponent).join("/"), { method: "PUT", headers, body: JSON.stringify({ state }) });
    if (answer.status === 401) {
      const given = prompt("The token for changes (admin.token of the configuration):");
      if (given) { token = given; sessionStorage.setItem("token", given); return await send(name, state); }
    }
    if (!answer.ok) failed((await answer.json()).error);
    else await look();
  } catch (error) { failed("the order did not arrive: " + error.message); }
  finally {
    buttons.forEach(button => button.disabled = false);
    freshen();
    // A button that is disabled loses the focus.
    if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
  }
}

async function ask(path) {
  const answer = await fetch(here + path, { cache: "no-store", signal: AbortSignal.timeout(late) });
  return { found: answer.status !== 404, ok: answer.ok, body: await answer.json() };
}
async function look() {
  const turn = ++asked;
  try {
    const [status, host] = await Promise.all([ask("status"), hosted ? ask("host") : null]);
    // An answer that comes after a later one is out of date.
    if (turn < shown) return;
    shown = turn;
    // A proxy that is not the standalone host has none.
    if (host && !host.found) hosted = false;
    fault = status.ok ? "" : status.body.error;
    if (status.ok) {
      answered = { at: Date.now() };
      render({ status: status.body, host: host?.ok ? host.body : null });
    }
  } catch (error) {
    if (turn < shown) return;
    fault = "the balancer does not answer: " + error.message;
  }
  freshen();
}
async function watch() { if (!document.hidden) await look(); setTimeout(watch, refresh); }

find("search").oninput = search;
find("more").onclick = () => { all_events = !all_events; look(); };
document.addEventListener("keydown", event => {
  const typing = event.target.matches("input"), search_box = find("search");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey && !find("tools").hidden) { event.preventDefault(); search_box.focus(); }
  if (event.key === "Escape" && event.target === search_box) { search_box.value = ""; search(); search_box.blur(); }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) { freshen(); look(); } });
wide.addEventListener("change", () => look());
setInterval(freshen, 500);
watch();
