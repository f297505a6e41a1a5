// Lines of the last minutes, and rates.
const minute = 60 * 1000, space = "http://www.w3.org/2000/svg";

function drawn(kind, attributes) {
  const node = document.createElementNS(space, kind);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
function chart() { return drawn("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" }); }
// Points of { at, value, miss }, over a span of time that ends now.
function plot(svg, points, now, range) {
  const most = Math.max(1e-9, ...points.map(point => point.value));
  const x = point => (100 - 100 * (now - point.at) / range).toFixed(1), y = point => (29 - 27 * point.value / most).toFixed(1);
  const shapes = points.filter(point => point.miss).map(point => drawn("line", { class: "miss", x1: x(point), x2: x(point), y1: 20, y2: 30 }));
  if (points.length > 1) shapes.unshift(drawn("polyline", { points: points.map(point => x(point) + "," + y(point)).join(" ") }));
  svg.replaceChildren(...shapes);
}

// Rates are of a minute: what the counters were at each answer, but for those that follow
// another at once. A counter that falls began anew.
function remember(past, at, count) {
  const last = past[past.length - 1];
  if (last && at >= last.at && at < last.at + refresh / 2) return past;
  if (last && (count < last.count || at < last.at)) past.length = 0;
  past.push({ at, count, value: past.length ? 1000 * (count - last.count) / (at - last.at) : 0 });
  while (past[0].at < at - minute) past.shift();
  return past;
}
function rate(past) {
  const last = past[past.length - 1], first = past[Math.max(0, past.length - 4)];
  return last && last.at > first.at ? 1000 * (last.count - first.count) / (last.at - first.at) : 0;
}
