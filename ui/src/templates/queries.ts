// What the pages of templates ask for. All of it is kept below one key, and a change of any asks for all again.
import { queryOptions, type Query } from "@tanstack/react-query";

import { secretsOf } from "../account/queries";
import { addressOf, api } from "../api/client";
import { errorOf, offline } from "../api/error";
import { queryClient, templatesQuery, versionQuery } from "../api/queries";
import type { TemplateVersion } from "../api/types";
import { readTar, type TarFile } from "./tar";

/** Milliseconds after which a version is asked for again while its import runs. */
export const POLL_MS = 1000;

const [ROOT] = templatesQuery.queryKey;

/** Asks again for whatever is shown of templates. */
export async function refreshTemplates(): Promise<void> {
  await Promise.all([
    queryClient.invalidateQueries({ queryKey: [ROOT] }),
    queryClient.invalidateQueries({ queryKey: versionQuery("").queryKey.slice(0, 1) }),
  ]);
}

export const templateQuery = (organization: string, name: string) =>
  queryOptions({
    queryKey: [ROOT, "one", organization, name],
    queryFn: ({ signal }) =>
      api.get("/api/v2/organizations/{organization}/templates/{name}", {
        path: { organization, name },
        signal,
      }),
  });

/** All versions, newest first, the archived too. */
export const versionsQuery = (template: string) =>
  queryOptions({
    queryKey: [ROOT, "versions", template],
    queryFn: async ({ signal }) =>
      (
        await api.get("/api/v2/templates/{template}/versions", {
          path: { template },
          query: { include_archived: true },
          signal,
        })
      ).reverse(),
    refetchInterval: (query: Query<TemplateVersion[]>) =>
      query.state.data?.some(isImporting) ? POLL_MS : false,
  });

export const namedVersionQuery = (organization: string, name: string, version: string) =>
  queryOptions({
    queryKey: [ROOT, "version", organization, name, version],
    queryFn: ({ signal }) =>
      api.get("/api/v2/organizations/{organization}/templates/{name}/versions/{version}", {
        path: { organization, name, version },
        signal,
      }),
    refetchInterval: (query: Query<TemplateVersion>) =>
      query.state.data && isImporting(query.state.data) ? POLL_MS : false,
  });

export const templateSecretsQuery = (template: string) =>
  secretsOf(template, (signal) =>
    api.get("/api/v2/templates/{template}/secrets", { path: { template }, signal }),
  );

/** The files that a version was imported from; they never change. */
export const sourceQuery = (file: string) =>
  queryOptions({
    queryKey: ["source", file],
    queryFn: ({ signal }) => readSource(file, signal),
    staleTime: Infinity,
  });

async function readSource(file: string, signal: AbortSignal): Promise<TarFile[]> {
  const response = await fetch(sourceAddress(file), { signal }).catch((error: unknown) => {
    throw signal.aborted ? error : offline();
  });
  if (!response.ok) throw errorOf(response.status, null, await response.text());
  return readTar(new Uint8Array(await response.arrayBuffer()));
}

export function sourceAddress(file: string): string {
  return addressOf("/api/v2/files/{file}", { file });
}

/** Whether the import of a version goes on. */
export function isImporting({ job }: TemplateVersion): boolean {
  return job.status === "pending" || job.status === "running" || job.status === "canceling";
}
