// Elements, and numbers and times as people read them.
"use strict";
// Text from replicas enters the page as text nodes only, never as markup.
const find = id => document.getElementById(id);
function make(tag, kind, ...content) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  node.append(...content);
  return node;
}
function write(node, text) { if (node.textContent !== text) node.textContent = text; }
function show(node, text) { node.hidden = !text; write(node, text || ""); }
function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + s % 60 + " s";
  if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
  return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
}
function amount(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  for (; bytes >= 999.5 && unit < 5; unit++) bytes /= 1000;
  return bytes.toFixed(unit && bytes < 9.95 ? 1 : 0) + " " + units[unit];
}
function list(words) { return words.length < 2 ? words.join("") : words.slice(0, -1).join(", ") + " and " + words[words.length - 1]; }
function counted(number, one, many) { return number.toLocaleString() + " " + (number === 1 ? one : many); }
function clock(ms) {
  const at = new Date(ms), days = at.toDateString() === new Date().toDateString();
  return (days ? "" : at.toLocaleDateString() + " ") + at.toLocaleTimeString();
}
