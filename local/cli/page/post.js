// Sends POST requests, and announces their errors.

import { announce } from "./format.js";

/** The response's body, in an object; null for an error response or none. */
export async function post(path, options) {
  try {
    const response = await fetch(path, { method: "POST", ...options });
    const body = response.headers.get("content-type")?.includes("json") ? await response.json() : null;
    if (!response.ok) announce(body?.detail ?? body?.message ?? `The response is ${response.status}.`);
    return response.ok ? { body } : null;
  } catch {
    announce("No response (check that cargo run -- up is running).");
    return null;
  }
}
