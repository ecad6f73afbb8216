// How are things said and put on the page?

export const byId = (id) => document.getElementById(id);
export const copyOf = (id) => byId(id).content.firstElementChild.cloneNode(true);

export const time = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

/** Digits as they were sent, in groups and with two decimals at least. */
export function money(digits) {
  const [, sign, whole, decimals = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(digits) ?? [];
  if (whole === undefined) return digits;
  return `${sign}${whole.replace(/\B(?=(\d{3})+$)/g, "\u202f")}.${decimals.padEnd(2, "0")}`;
}

export function took(milliseconds) {
  return milliseconds < 1000 ? `+${milliseconds} ms` : `+${(milliseconds / 1000).toFixed(1)} s`;
}

/** The end of an order id, which tells orders apart; the joiner keeps it on one line. */
export const short = (orderId) => (orderId.length > 16 ? `…\u2060${orderId.slice(-8)}` : orderId);

/** Whether the text of an element changed, so that what is unchanged is not announced or drawn. */
export function setText(element, text) {
  if (element.textContent === text) return false;
  element.textContent = text;
  return true;
}

/** Says what came of something that was done here; read out where somebody listens. */
export function tell(text) {
  byId("told").textContent = text;
}
