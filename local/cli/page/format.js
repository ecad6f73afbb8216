// Formats values, and writes text into the page.

export const byId = (id) => document.getElementById(id);
export const copyOf = (id) => byId(id).content.firstElementChild.cloneNode(true);

export const time = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

/** The digits of a JSON number, grouped, with at least two decimals. */
export function money(digits) {
  const [, sign, whole, decimals = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(digits) ?? [];
  if (whole === undefined) return digits;
  return `${sign}${whole.replace(/\B(?=(\d{3})+$)/g, "\u202f")}.${decimals.padEnd(2, "0")}`;
}

export function took(milliseconds) {
  return milliseconds < 1000 ? `+${milliseconds} ms` : `+${(milliseconds / 1000).toFixed(1)} s`;
}

/** `1 record`, `2 records`. */
export const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** The end of a long order id, for messages. The word joiner keeps it on one line. */
export const short = (orderId) => (orderId.length > 16 ? `…\u2060${orderId.slice(-8)}` : orderId);

/** Sets the text of an element if it differs: an unchanged text is not announced or drawn again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows the result of an action. Screen readers announce it. */
export function announce(text) {
  byId("announcement").textContent = text;
}
