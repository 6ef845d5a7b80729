// What the tabs of a task ask for, each with the tab.
import { queryOptions } from "@tanstack/react-query";

import { api } from "../../api/client";

export const diffQuery = (user: string, task: string) =>
  queryOptions({
    queryKey: ["diff", user, task],
    queryFn: ({ signal }) =>
      api.get("/api/v2/tasks/{user}/{task}/diff", { path: { user, task }, signal }),
  });

export const networkQuery = (user: string, task: string) =>
  queryOptions({
    queryKey: ["network", user, task],
    queryFn: ({ signal }) =>
      api.get("/api/v2/tasks/{user}/{task}/network", { path: { user, task }, signal }),
  });

export const workspaceQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace],
    queryFn: ({ signal }) =>
      api.get("/api/v2/workspaces/{workspace}", { path: { workspace }, signal }),
  });

export const buildsQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "builds"],
    queryFn: ({ signal }) =>
      api.get("/api/v2/workspaces/{workspace}/builds", { path: { workspace }, signal }),
  });
