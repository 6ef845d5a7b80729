import type { Task } from "../api/types";

/** A task for tests, idle unless told otherwise. */
export function testTask(given: Partial<Task> = {}): Task {
  return {
    id: "t1",
    organization_id: "o",
    owner_id: "u",
    owner_name: "ada",
    name: "fix-bug",
    display_name: "Fix the bug",
    template_id: "tpl",
    template_version_id: "v",
    template_name: "shell",
    template_display_name: "Shell",
    template_icon: "",
    workspace_id: "w",
    workspace_name: "fix-bug",
    workspace_status: "running",
    workspace_agent_id: null,
    workspace_agent_lifecycle: null,
    workspace_agent_health: null,
    workspace_app_id: null,
    initial_prompt: "Fix the bug",
    status: "active",
    current_state: { timestamp: "2026-03-01T09:00:00Z", state: "idle", message: "Rests.", uri: "" },
    created_at: "2026-03-01T09:00:00Z",
    updated_at: "2026-03-01T09:00:00Z",
    ...given,
  };
}
