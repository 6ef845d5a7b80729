// The apps of a workspace, as people choose among them.
import type { Workspace, WorkspaceApp } from "../../api/types";
import type { Tone } from "../../design";

/** Apps that people may look at: not the one that only carries the task's messages, nor hidden ones. */
export function appsOf(
  workspace: Workspace,
  messagesId: string | null | undefined,
): WorkspaceApp[] {
  const agents = workspace.latest_build.resources.flatMap((resource) => resource.agents ?? []);
  return agents
    .flatMap((agent) => agent.apps)
    .filter((app) => !app.hidden && !app.external && app.id !== messagesId);
}

const HEALTH: Readonly<Record<WorkspaceApp["health"], readonly [tone: Tone, words: string]>> = {
  disabled: ["paused", "Not checked"],
  initializing: ["starting", "Starting"],
  healthy: ["idle", "Healthy"],
  unhealthy: ["failed", "Unhealthy"],
};

export const healthOf = (app: WorkspaceApp) => HEALTH[app.health];

const SHARES: Readonly<Record<WorkspaceApp["sharing_level"], string>> = {
  owner: "only you and those who may change the workspace",
  organization: "the organization",
  authenticated: "everybody who signs in",
  public: "everybody, without signing in",
};

export const sharedWith = (app: WorkspaceApp) => SHARES[app.sharing_level];

/** Whether a frame can show it. An app knows its visitor by a cookie of its own host, which browsers keep out of frames on other sites. */
export const canFrame = (app: WorkspaceApp) => app.sharing_level === "public";
