import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api } from "../api/client";
import { auditQ, type AuditSearch } from "./audit";
import { POLL_MS } from "./health";
import { PAGE_SIZE, usersQ, type UsersSearch } from "./users";

export const usersKey = ["users"] as const;

export const usersQuery = (search: UsersSearch) =>
  queryOptions({
    queryKey: [...usersKey, "list", search],
    queryFn: ({ signal }) =>
      api.get("/api/v2/users", {
        query: {
          q: usersQ(search),
          limit: PAGE_SIZE,
          offset: ((search.page ?? 1) - 1) * PAGE_SIZE,
        },
        signal,
      }),
    // The old rows stay while the next are on their way.
    placeholderData: keepPreviousData,
  });

export const userQuery = (user: string) =>
  queryOptions({
    queryKey: [...usersKey, "one", user],
    queryFn: ({ signal }) => api.get("/api/v2/users/{user}", { path: { user }, signal }),
  });

/** Deeds of one page of the audit. */
const AUDIT_PAGE = 100;

export const auditQuery = (search: AuditSearch) =>
  infiniteQueryOptions({
    queryKey: ["audit", search],
    queryFn: ({ signal, pageParam }) =>
      api.get("/api/v2/audit", {
        query: { q: auditQ(search), limit: AUDIT_PAGE, ...(pageParam && { after: pageParam }) },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: ({ audit_logs }) =>
      audit_logs.length < AUDIT_PAGE ? undefined : audit_logs.at(-1)?.id,
    placeholderData: keepPreviousData,
  });

export const organizationsKey = ["organizations"] as const;

export const organizationsQuery = queryOptions({
  queryKey: [...organizationsKey, "list"],
  queryFn: ({ signal }) => api.get("/api/v2/organizations", { signal }),
});

export const organizationQuery = (organization: string) =>
  queryOptions({
    queryKey: [...organizationsKey, "one", organization],
    queryFn: ({ signal }) =>
      api.get("/api/v2/organizations/{organization}", { path: { organization }, signal }),
  });

export const membersQuery = (organization: string, search: UsersSearch) =>
  queryOptions({
    queryKey: [...organizationsKey, "members", organization, search],
    queryFn: ({ signal }) =>
      api.get("/api/v2/organizations/{organization}/paginated-members", {
        path: { organization },
        query: {
          q: usersQ(search),
          limit: PAGE_SIZE,
          offset: ((search.page ?? 1) - 1) * PAGE_SIZE,
        },
        signal,
      }),
    placeholderData: keepPreviousData,
  });

export const healthQuery = queryOptions({
  queryKey: ["health"],
  queryFn: ({ signal }) => api.get("/api/v2/health", { signal }),
  // Only while somebody looks: hidden tabs do not ask.
  refetchInterval: POLL_MS,
  staleTime: 0,
});
