// Shows the newest orders, each with its timeline.

import { topicNamed } from "./pipeline.js";
import { post } from "./post.js";
import { announce, byId, copyOf, money, setText, short, time, took } from "./format.js";

/** By order id: the order and its row. */
const orders = new Map();
/** Ids of orders sent from this page whose end is not announced yet. */
const sentFromHere = new Set();
/** Number of orders since the start of the run, dropped ones included. */
let total = 0;

/** Shows these orders, and drops the oldest ones. */
export function showOrders(changed, kept) {
  changed.sort((one, other) => one.number - other.number).forEach(showOrder);
  // Orders are numbered from 0.
  total = Math.max(total, ...changed.map((order) => order.number + 1));
  if (orders.size > kept) dropOldest(kept);
  byId("orders").hidden = orders.size === 0;
  byId("find").hidden = orders.size === 0;
  byId("no-orders").hidden = orders.size > 0;
  filterOrders();
}

/** Removes all orders until the next message. */
export function forgetOrders() {
  for (const { row } of orders.values()) row.remove();
  orders.clear();
  total = 0;
  showOrders([]);
}

/** Hides the orders that the filters do not match, and shows their number if the list is cut. */
export function filterOrders() {
  const text = byId("order-filter").value.trim().toLowerCase();
  const status = byId("order-status").value;
  let shown = 0;
  for (const { order, row } of orders.values()) {
    const isFound = [order.orderId, order.customerId].some((field) => field?.toLowerCase().includes(text));
    row.hidden = !isFound || (status !== "" && order.status !== status);
    if (!row.hidden) shown += 1;
  }
  setText(byId("shown"), shown < total ? `${shown} of ${total} shown` : "");
}

/** Shows the location of pending orders, which changes when a stage is paused. */
export function showPending() {
  for (const { order, row } of orders.values()) {
    if (order.status === "PENDING") showWhere(order, row);
  }
}

/** Announces the end of an order that this page has sent. It may have ended already. */
export function follow(orderId) {
  sentFromHere.add(orderId);
  const known = orders.get(orderId);
  if (known) showOrder(known.order);
}

function showOrder(order) {
  const known = orders.get(order.orderId);
  const row = known?.row ?? newRow(order);
  orders.set(order.orderId, { order, row });
  const status = row.querySelector(".status");
  status.className = `status ${order.status.toLowerCase()}`;
  setText(status, { PENDING: "Pending", COMPLETED: "Completed", FAILED: "Failed" }[order.status]);
  row.querySelector(".cancel").hidden = order.status !== "PENDING";
  row.querySelector(".again").hidden = !order.isRecordKept;
  showWhere(order, row);
  row.querySelector(".steps").replaceChildren(...order.steps.map((step, index) => newStep(order, step, index)));
  if (order.status !== "PENDING" && sentFromHere.delete(order.orderId)) {
    const end = order.status === "COMPLETED" ? "is completed." : `has failed: ${order.reason}`;
    announce(`Order ${short(order.orderId)} ${end}`);
  }
}

function newRow(order) {
  const row = copyOf("order");
  row.querySelector(".order-id").textContent = order.orderId;
  row.querySelector(".what").textContent = [order.items, order.customerId && `for ${order.customerId}`]
    .filter(Boolean).join(" ");
  row.querySelector(".amount").textContent = order.amount === null ? "–" : money(order.amount);
  const again = row.querySelector(".again");
  again.setAttribute("aria-label", `Deliver again: order ${short(order.orderId)}`);
  again.addEventListener("click", () => deliverAgain(order.orderId));
  const cancel = row.querySelector(".cancel");
  cancel.setAttribute("aria-label", `Cancel: order ${short(order.orderId)}`);
  cancel.addEventListener("click", () => cancelOrder(order.orderId));
  row.dataset.order = order.orderId;
  byId("orders").tBodies[0].prepend(row);
  return row;
}

function newStep(order, step, index) {
  const item = document.createElement("li");
  const since = index === 0 ? time.format(step.at) : took(step.at - order.steps[0].at);
  item.append(step.event, " ", Object.assign(document.createElement("small"), { textContent: since }));
  if (step.times > 1) {
    const times = Object.assign(document.createElement("b"), { textContent: `×${step.times}` });
    times.title = "published again, byte for byte";
    item.append(" ", times);
  }
  return item;
}

function showWhere(order, row) {
  setText(row.querySelector(".where"), order.status === "PENDING" ? whereIs(order) : order.reason ?? "");
}

/** The location of a pending order: the stages that read the topic of its last event. */
function whereIs(order) {
  const topic = topicNamed(order.steps.at(-1)?.topic);
  const paused = topic?.stages.find((stage) => stage.isPaused);
  const retrying = topic?.stages.find((stage) => stage.retrying > 0);
  if (paused) return `waits for ${paused.name}, which is paused`;
  if (retrying) return `${retrying.name} is retrying`;
  return `on its way to ${topic?.stages.map((stage) => stage.name).join(", ") ?? "its next stage"}`;
}

function dropOldest(kept) {
  const surplus = [...orders.values()].sort((one, other) => other.order.number - one.order.number).slice(kept);
  for (const { order, row } of surplus) {
    orders.delete(order.orderId);
    row.remove();
  }
}

async function deliverAgain(orderId) {
  if (await post(`/_page/orders/${encodeURIComponent(orderId)}/deliver-again`)) {
    announce(`OrderCreated of order ${short(orderId)} is published again.`);
  }
}

async function cancelOrder(orderId) {
  if (await post(`/orders/${encodeURIComponent(orderId)}/cancel`)) {
    announce(`Order ${short(orderId)} is cancelled. It ends at its payment.`);
  }
}
