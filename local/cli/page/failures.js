// Shows failures, the newest first, and their number.

import { byId, copyOf, counted, setText, time } from "./format.js";

/** Shows these failures, which the feed sends oldest first. */
export function showFailures({ failedOrders, malformedRecords, newest }) {
  const counts = [counted(failedOrders, "failed order"), counted(malformedRecords, "malformed record")];
  const count = byId("failure-count");
  count.classList.toggle("some", newest.length > 0);
  setText(count, newest.length > 0 ? counts.join(", ") : "none yet");
  byId("failures").replaceChildren(...newest.reverse().map(newFailure));
}

/** Removes all failures until the next message. */
export function forgetFailures() {
  showFailures({ failedOrders: 0, malformedRecords: 0, newest: [] });
}

function newFailure(failure) {
  const item = copyOf("failure");
  const [, code, reason] = /^([A-Z_]+): (.*)$/s.exec(failure.reason) ?? [null, "FAILED", failure.reason];
  item.querySelector(".code").textContent = code;
  item.querySelector(".failure-of").textContent = failure.isMalformedReport
    ? `a malformed record, ${time.format(failure.at)}`
    : `${failure.stage}, order ${failure.orderId}, ${time.format(failure.at)}`;
  item.querySelector(".reason").textContent = reason;
  return item;
}
