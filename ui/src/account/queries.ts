// What the pages of the account ask for; of somebody else too, for those who administer them.
import { queryOptions } from "@tanstack/react-query";

import { api } from "../api/client";
import type { Secret } from "../api/types";

const TOKENS = "/api/v2/users/{user}/keys/tokens";

/** Where answers about somebody's tokens are kept; all of them change together. */
export const tokensKey = ["tokens"] as const;

export const tokensQuery = (user: string, expired: boolean, everybody = false) =>
  queryOptions({
    queryKey: [...tokensKey, user, expired, everybody],
    queryFn: ({ signal }) =>
      api.get(TOKENS, {
        path: { user },
        query: { include_expired: expired, include_all: everybody },
        signal,
      }),
  });

export const tokenConfigQuery = queryOptions({
  queryKey: ["token-config"],
  queryFn: ({ signal }) =>
    api.get("/api/v2/users/{user}/keys/tokens/tokenconfig", { path: { user: "me" }, signal }),
  staleTime: Infinity,
});

/** The names of some secrets. whose: "me", or the id of a template. */
export const secretsOf = (whose: string, read: (signal: AbortSignal) => Promise<Secret[]>) =>
  queryOptions({ queryKey: ["secrets", whose], queryFn: ({ signal }) => read(signal) });

export const secretsQuery = secretsOf("me", (signal) =>
  api.get("/api/v2/users/{user}/secrets", { path: { user: "me" }, signal }),
);

export const sshKeyQuery = queryOptions({
  queryKey: ["ssh-key"],
  queryFn: ({ signal }) =>
    api.get("/api/v2/users/{user}/gitsshkey", { path: { user: "me" }, signal }),
});
