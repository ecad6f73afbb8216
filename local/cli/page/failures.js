// Shows failures, the newest first.

import { byId, copyOf, time } from "./format.js";

/** Shows these failures, which the feed sends oldest first. */
export function showFailures(failures) {
  byId("no-failures").hidden = failures.length > 0;
  byId("failures").replaceChildren(...failures.reverse().map((failure) => {
    const item = copyOf("failure");
    const [, code, reason] = /^([A-Z_]+): (.*)$/s.exec(failure.reason) ?? [null, "FAILED", failure.reason];
    item.querySelector(".code").textContent = code;
    item.querySelector(".failure-of").textContent = failure.isMalformedReport
      ? `a malformed record, ${time.format(failure.at)}`
      : `${failure.stage}, order ${failure.orderId}, ${time.format(failure.at)}`;
    item.querySelector(".reason").textContent = reason;
    return item;
  }));
}
