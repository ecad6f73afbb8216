// Asks for something to be done, and says why where it is not.

import { tell } from "./words.js";

/** The answer's body, in an object; null where the answer is a refusal or there is none. */
export async function post(path, options) {
  try {
    const answer = await fetch(path, { method: "POST", ...options });
    const body = answer.headers.get("content-type")?.includes("json") ? await answer.json() : null;
    if (!answer.ok) tell(body?.detail ?? body?.message ?? `The answer was ${answer.status}.`);
    return answer.ok ? { body } : null;
  } catch {
    tell("No answer: is cargo run -- up still running?");
    return null;
  }
}
