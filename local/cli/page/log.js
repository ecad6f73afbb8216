// Shows the last lines of a stage's log in a dialog.

import { byId, counted, time } from "./format.js";

const EMPHASIZED = { WARN: "warning", ERROR: "error" };

/** The stage whose log is open. */
let stage;

export function openLog(of) {
  stage = of;
  byId("log-heading").textContent = `Log of ${stage.name}`;
  byId("log-lines").replaceChildren();
  byId("log").showModal();
  refreshLog();
}

export async function refreshLog() {
  const asked = stage;
  const { note, lines } = await read(asked);
  if (stage !== asked) return;
  byId("log-note").textContent = note;
  const list = byId("log-lines");
  list.replaceChildren(...lines.map(newLine));
  list.scrollTop = list.scrollHeight;
}

async function read({ id }) {
  try {
    const response = await fetch(`/_page/mappings/${encodeURIComponent(id)}/log`);
    const { file, lines, omittedBytes, detail } = await response.json();
    if (!response.ok) return { note: detail, lines: [] };
    const before = omittedBytes > 0 ? ` ${omittedBytes.toLocaleString("en")} bytes before them are not shown.` : "";
    return { note: `The last ${counted(lines.length, "line")} of ${file}.${before}`, lines };
  } catch {
    return { note: "No response (check that cargo run -- up is running).", lines: [] };
  }
}

/** A line of the log; a JSON line of a function is shown as time, level, message and fields. */
function newLine(text) {
  const item = document.createElement("li");
  const entry = parsed(text);
  if (!entry) {
    item.textContent = text;
    return item;
  }
  // The module and the ids of the invocation are left to the file.
  const { timestamp, level, message, target, span, ...fields } = entry;
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  item.append(part("small", clock(timestamp)), " ", part("b", level, EMPHASIZED[level]), ` ${message ?? ""} `, part("small", rest.join(" ")));
  return item;
}

function parsed(text) {
  try {
    const entry = JSON.parse(text);
    return typeof entry?.level === "string" ? entry : null;
  } catch {
    return null;
  }
}

function clock(timestamp) {
  const at = Date.parse(timestamp);
  return Number.isNaN(at) ? "" : time.format(at);
}

function part(name, textContent, className = "") {
  return Object.assign(document.createElement(name), { textContent, className });
}
