/** The server's API: each call answers with its JSON or throws a {@link Refusal}. */

import { session } from "./session.js";

/** The server's no. */
export class Refusal extends Error {
  /**
   * @param {number} status the HTTP status; 0 when there was no answer
   * @param {string} code what is wrong, for programs
   * @param {string} message what is wrong and what to do about it
   */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** Whether nobody is signed in, or the API is disabled. */
  get isAboutAccess() {
    return this.status === 401 || this.code === "admin_disabled";
  }
}

/** Told of each {@link Refusal} that is about access. */
let refused = () => {};

/** @param {(refusal: Refusal) => void} listener */
export function onRefused(listener) {
  refused = listener;
}

/**
 * Asks, and returns the response once its status says that all is well.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 * @throws {Refusal}
 */
export async function ask(path, options = {}) {
  const headers = { ...options.headers, ...session.headers(options.method ?? "GET") };
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    throw new Refusal(0, "unreachable", "The server does not answer. Is it running?");
  }
  if (response.ok) {
    return response;
  }
  const problem = await response.json().catch(() => ({}));
  const message = problem.message ?? `The server answered ${response.status} ${response.statusText}`.trim();
  const refusal = new Refusal(response.status, problem.error ?? "unknown", message);
  if (refusal.isAboutAccess) {
    refused(refusal);
  }
  throw refusal;
}

export async function get(path, query = {}, signal = undefined) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = new URLSearchParams(given).toString();
  const response = await ask(search ? `${path}?${search}` : path, { signal });
  return response.json();
}

export async function post(path, body) {
  const response = await ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.json();
}

const runPath = (runId) => `/api/runs/${encodeURIComponent(runId)}`;
const storePath = (storeId) => `/api/stores/${encodeURIComponent(storeId)}`;

export const api = {
  session: (signal) => get("/api/session", {}, signal),
  signOut: () => ask("/api/session/end", { method: "POST" }),
  overview: () => get("/api/overview"),
  runs: (query, signal) => get("/api/runs", query, signal),
  run: (runId, signal) => get(runPath(runId), {}, signal),
  jobs: (runId, query, signal) => get(`${runPath(runId)}/jobs`, query, signal),
  timeline: (runId, signal) => get(`${runPath(runId)}/timeline`, {}, signal),
  stores: (query, signal) => get("/api/stores", query, signal),
  store: (storeId, signal) => get(storePath(storeId), {}, signal),
  audit: (query, signal) => get("/api/audit", query, signal),
  workers: (signal) => get("/api/workers", {}, signal),
  freshness: (signal) => get("/api/freshness", {}, signal),
  sizes: (query, signal) => get("/api/sizes", query, signal),
  costs: (query, signal) => get("/api/costs", query, signal),
  launches: (query, signal) => get("/api/launches", query, signal),
  /** A file of figures, as the server writes it. */
  csv: async (path, query) => (await ask(`${path}?${new URLSearchParams(query)}`)).blob(),
  failures: (query, signal) => get("/api/failures", query, signal),
  retryReason: (key) => post(`/api/failures/${encodeURIComponent(key)}/retry`, {}),
  quarantineReason: (key) => post(`/api/failures/${encodeURIComponent(key)}/quarantine`, {}),
  comparison: (runId, signal) => get(`${runPath(runId)}/comparison`, {}, signal),
  startRun: (options) => post("/api/runs", options),
  seed: (storeId) => post(`${storePath(storeId)}/seed`, {}),
  retry: (runId, stores) => post(`${runPath(runId)}/retry`, stores ? { stores } : {}),
  cancel: (runId) => post(`${runPath(runId)}/cancel`, {}),
};
