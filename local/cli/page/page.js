// Shows the feed, and sends the orders of the buttons. The browser keeps no state: after a lost
// connection, the feed starts with the full state.

import { forgetFailures, showFailures } from "./failures.js";
import { refreshLog } from "./log.js";
import { filterOrders, follow, forgetOrders, showOrders, showPending } from "./orders.js";
import { forgetPipeline, showPipeline } from "./pipeline.js";
import { post } from "./post.js";
import { announce, byId, setText, short } from "./format.js";

/** Bodies of orders, by button. */
let samples = {};
let keptOrders = 0;
/** Index of the body that each button sent last. */
const sent = {};

function connect() {
  const feed = new EventSource("/_page/feed");
  feed.addEventListener("message", (event) => show(JSON.parse(event.data)));
  feed.addEventListener("error", () => {
    byId("connection").className = "lost";
    setText(byId("connection"), "No connection (check that cargo run -- up is running)");
    // The browser reconnects by itself, except after an error response.
    if (feed.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  });
}

function show(message) {
  if (message.start) {
    ({ samples, keptOrders } = message.start);
    forgetPipeline();
    forgetOrders();
    forgetFailures();
    byId("connection").className = "live";
    setText(byId("connection"), "Live");
  }
  if (message.pipeline) showPipeline(message.pipeline);
  if (message.failures) showFailures(message.failures);
  if (message.orders) showOrders(message.orders, keptOrders);
  if (message.pipeline) showPending();
}

async function send(kind) {
  const bodies = samples[kind] ?? [];
  if (bodies.length === 0) return;
  sent[kind] = (sent[kind] ?? -1) + 1;
  const response = await post("/orders", {
    headers: { "content-type": "application/json" },
    body: bodies[sent[kind] % bodies.length],
  });
  if (!response) return;
  const { orderId } = response.body;
  announce(`Order ${short(orderId)} is accepted.`);
  follow(orderId);
}

for (const button of document.querySelectorAll("[data-sample]")) {
  button.addEventListener("click", () => send(button.dataset.sample));
}
byId("order-filter").addEventListener("input", filterOrders);
byId("order-status").addEventListener("change", filterOrders);
byId("refresh-log").addEventListener("click", refreshLog);
byId("close-log").addEventListener("click", () => byId("log").close());
connect();
