// Shows what the feed tells, and sends the orders that the buttons ask for. Nothing is kept in the
// browser: a connection that was lost begins with everything again.

import { showFailures } from "./failures.js";
import { follow, forgetOrders, showOrders, showPending } from "./orders.js";
import { forgetPipeline, showPipeline } from "./pipeline.js";
import { post } from "./post.js";
import { byId, setText, short, tell } from "./words.js";

/** Bodies of orders, by the button that sends them. */
let samples = {};
let keptOrders = 0;
/** How many of each were sent, less one. */
const sent = {};

function connect() {
  const feed = new EventSource("/_page/feed");
  feed.addEventListener("message", (message) => show(JSON.parse(message.data)));
  feed.addEventListener("error", () => {
    byId("connection").className = "lost";
    setText(byId("connection"), "No connection: is cargo run -- up still running?");
    // The browser gives up where it was answered with an error; otherwise it comes back by itself.
    if (feed.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  });
}

function show(news) {
  if (news.start) {
    ({ samples, keptOrders } = news.start);
    forgetPipeline();
    forgetOrders();
    showFailures([]);
    byId("connection").className = "live";
    setText(byId("connection"), "Live");
  }
  if (news.pipeline) showPipeline(news.pipeline);
  if (news.failures) showFailures(news.failures);
  if (news.orders) showOrders(news.orders, keptOrders);
  if (news.pipeline) showPending();
}

async function send(kind) {
  const bodies = samples[kind] ?? [];
  if (bodies.length === 0) return;
  sent[kind] = (sent[kind] ?? -1) + 1;
  const answer = await post("/orders", {
    headers: { "content-type": "application/json" },
    body: bodies[sent[kind] % bodies.length],
  });
  if (!answer) return;
  const { orderId } = answer.body;
  tell(`Order ${short(orderId)} is taken in.`);
  follow(orderId);
}

for (const button of document.querySelectorAll("[data-sample]")) {
  button.addEventListener("click", () => send(button.dataset.sample));
}
connect();
