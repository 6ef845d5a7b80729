// Short names for what the server sends.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Task = Schemas["Task"];
export type TaskStatus = Schemas["TaskStatus"];
export type WorkspaceStatus = Schemas["WorkspaceStatus"];
export type TaskItem = Schemas["TaskItem"];
export type TaskPhases = Schemas["TaskPhasesResponse"];
export type TaskPhase = Schemas["TaskPhase"];
export type TaskPrompt = Schemas["TaskPrompt"];
export type TaskPrompts = Schemas["TaskPromptsResponse"];
export type PermissionOption = Schemas["PermissionOption"];
export type Template = Schemas["Template"];
export type TemplateVersion = Schemas["TemplateVersion"];
export type Parameter = Schemas["TemplateVersionParameter"];
export type Preset = Schemas["Preset"];
export type Workspace = Schemas["Workspace"];
export type WorkspaceApp = Schemas["WorkspaceApp"];
export type WorkspaceBuild = Schemas["WorkspaceBuild"];
export type TaskDiff = Schemas["TaskDiff"];
export type NetworkDecision = Schemas["NetworkDecision"];
export type User = Schemas["User"];
export type ApiKey = Schemas["APIKey"];
export type Organization = Schemas["Organization"];
export type Member = Schemas["MemberWithUserData"];
export type Health = Schemas["Health"];
export type Secret = Schemas["Secret"];
export type AuditLog = Schemas["AuditLog"];
export type AuditAction = Schemas["AuditAction"];
export type AuditResource = Schemas["AuditResource"];

/** Event `status` of a task's stream; the document of the API has no schemas for events. */
export interface TaskStanding {
  /** Not there in events that an older server stored. */
  display_name?: string;
  status: TaskStatus;
  current_state: Task["current_state"];
  waiting_for?: NonNullable<Task["waiting_for"]>;
  at: string;
}

/** Event `task` of the stream of all tasks. */
export interface TaskNews extends TaskStanding {
  task: {
    id: string;
    name: string;
    /** Not there in news that an older server stored. */
    display_name?: string;
    owner_name: string;
    organization_id: string;
  };
  deleted: boolean;
}
