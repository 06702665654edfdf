/** The server's API for what is decided: which devices get snapshots, what is taken back or forgotten, and who may do what. */

import { get, post } from "./api.js";

const storePath = (storeId) => `/api/stores/${encodeURIComponent(storeId)}`;
const tokenPath = (id) => `/api/tokens/${encodeURIComponent(id)}`;

export const control = {
  tokens: (signal) => get("/api/tokens", {}, signal),
  makeToken: (asked) => post("/api/tokens", asked),
  revokeToken: (id) => post(`${tokenPath(id)}/revoke`, {}),
  delivery: (signal) => get("/api/delivery", {}, signal),
  /** @param {"all" | "file" | "compact" | "stream"} what @param {number} share per cent */
  setShare: (what, share) => post("/api/delivery", { what, share }),
  withdrawStore: (storeId) => post(`${storePath(storeId)}/withdraw`, {}),
  withdrawRun: (runId) => post(`/api/runs/${encodeURIComponent(runId)}/withdraw`, {}),
  withdrawAll: () => post("/api/snapshots/withdraw", { all: true }),
  forgotten: (signal) => get("/api/forgotten", {}, signal),
  forget: (storeId) => post(`${storePath(storeId)}/forget`, { storeId }),
  allow: (storeId) => post(`${storePath(storeId)}/allow`, {}),
};
