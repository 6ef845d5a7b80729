// Everything that is asked for once and kept; the lists that live on news are in tasks/store.ts.
import { QueryClient, queryOptions } from "@tanstack/react-query";

import { api, ApiError } from "./client";

/** Milliseconds that an answer counts as fresh: news come by the streams, so this is only for what they do not tell. */
const FRESH_MS = 15_000;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: FRESH_MS,
      networkMode: "always",
      retry: (count, error) => count < 3 && isPassing(error),
      retryDelay: (count) => Math.min(1000 * 2 ** count, 8000),
    },
    mutations: { networkMode: "always", retry: false },
  },
});

/** Whether the same question may be answered later: the server was away or busy. */
export function isPassing(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status >= 500);
}

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: ({ signal }) => api.get("/api/v2/users/{user}", { path: { user: "me" }, signal }),
  staleTime: 5 * 60_000,
});

/** The roles of whoever is signed in, those in organizations too, which the user itself does not tell. */
export const myRolesQuery = queryOptions({
  queryKey: ["my-roles"],
  queryFn: ({ signal }) => api.get("/api/v2/users/{user}/roles", { path: { user: "me" }, signal }),
  staleTime: 5 * 60_000,
});

/** Whether the server has a first user. */
export const firstUserQuery = queryOptions({
  queryKey: ["first-user"],
  queryFn: async ({ signal }) => {
    try {
      await api.get("/api/v2/users/first", { signal });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false;
      throw error;
    }
  },
});

export const buildInfoQuery = queryOptions({
  queryKey: ["buildinfo"],
  queryFn: ({ signal }) => api.get("/api/v2/buildinfo", { signal }),
  staleTime: Infinity,
});

export const templatesQuery = queryOptions({
  queryKey: ["templates"],
  queryFn: ({ signal }) => api.get("/api/v2/templates", { signal }),
});

const ofVersion = (version: string) => ["version", version] as const;

export const versionQuery = (version: string) =>
  queryOptions({
    queryKey: ofVersion(version),
    queryFn: ({ signal }) =>
      api.get("/api/v2/templateversions/{version}", { path: { version }, signal }),
  });

/** What a version of a template asks whoever makes a task of it; it never changes. */
export const parametersQuery = (version: string) =>
  queryOptions({
    queryKey: [...ofVersion(version), "parameters"],
    queryFn: ({ signal }) =>
      api.get("/api/v2/templateversions/{version}/rich-parameters", { path: { version }, signal }),
    staleTime: Infinity,
  });

/** Answers to these questions that a version brings along, by name. */
export const presetsQuery = (version: string) =>
  queryOptions({
    queryKey: [...ofVersion(version), "presets"],
    queryFn: ({ signal }) =>
      api.get("/api/v2/templateversions/{version}/presets", { path: { version }, signal }),
    staleTime: Infinity,
  });

const ofTask = (user: string, task: string) => ["task", user, task] as const;

export const taskQuery = (user: string, task: string) =>
  queryOptions({
    queryKey: ofTask(user, task),
    queryFn: ({ signal }) =>
      api.get("/api/v2/tasks/{user}/{task}", { path: { user, task }, signal }),
  });

export const phasesQuery = (user: string, task: string) =>
  queryOptions({
    queryKey: [...ofTask(user, task), "phases"],
    queryFn: ({ signal }) =>
      api.get("/api/v2/tasks/{user}/{task}/phases", { path: { user, task }, signal }),
  });

export const promptsQuery = (user: string, task: string) =>
  queryOptions({
    queryKey: [...ofTask(user, task), "prompts"],
    queryFn: ({ signal }) =>
      api.get("/api/v2/tasks/{user}/{task}/prompts", { path: { user, task }, signal }),
  });

/** What the coding agent asks now. */
export const permissionsQuery = (user: string, task: string) =>
  queryOptions({
    queryKey: [...ofTask(user, task), "permissions"],
    queryFn: ({ signal }) =>
      api.get("/api/v2/tasks/{user}/{task}/permissions", { path: { user, task }, signal }),
  });
