// Shows the newest orders, each with its time-line.

import { topicNamed } from "./pipeline.js";
import { post } from "./post.js";
import { byId, copyOf, money, setText, short, tell, time, took } from "./words.js";

/** By order id: what is known, and the row that shows it. */
const orders = new Map();
/** Orders sent from this page whose end is still to be told. */
const sentFromHere = new Set();

/** Shows these orders, and of all the newest ones only. */
export function showOrders(changed, kept) {
  changed.sort((one, other) => one.number - other.number).forEach(showOrder);
  if (orders.size > kept) dropOldest(kept);
  byId("orders").hidden = orders.size === 0;
  byId("no-orders").hidden = orders.size > 0;
}

/** Shows no order, until they are told again. */
export function forgetOrders() {
  for (const { row } of orders.values()) row.remove();
  orders.clear();
  showOrders([]);
}

/** Says where pending orders are: a stage that is paused meanwhile changes it. */
export function showPending() {
  for (const { order, row } of orders.values()) {
    if (order.status === "PENDING") showWhere(order, row);
  }
}

/** An order was sent from here: its end will be told, which it may have met already. */
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
  showWhere(order, row);
  row.querySelector(".steps").replaceChildren(...order.steps.map((step, index) => newStep(order, step, index)));
  if (order.status !== "PENDING" && sentFromHere.delete(order.orderId)) {
    const end = order.status === "COMPLETED" ? "is completed." : `has failed: ${order.reason}`;
    tell(`Order ${short(order.orderId)} ${end}`);
  }
}

function newRow(order) {
  const row = copyOf("order");
  const id = row.querySelector(".order-id");
  id.textContent = short(order.orderId);
  id.title = order.orderId;
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

/** Where a pending order is: before the stages that read the topic of its last event. */
function showWhere(order, row) {
  setText(row.querySelector(".where"), order.status === "PENDING" ? whereIs(order) : order.reason ?? "");
}

function whereIs(order) {
  const topic = topicNamed(order.steps.at(-1)?.topic);
  const paused = topic?.stages.find((stage) => stage.isPaused);
  const retrying = topic?.stages.find((stage) => stage.retrying > 0);
  if (paused) return `waits for ${paused.name}, which is paused`;
  if (retrying) return `${retrying.name} is tried again`;
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
    tell(`OrderCreated of ${short(orderId)} is on its topic once more.`);
  }
}

async function cancelOrder(orderId) {
  if (await post(`/orders/${encodeURIComponent(orderId)}/cancel`)) {
    tell(`Order ${short(orderId)} is cancelled: it ends when it comes to its payment.`);
  }
}
