// An upload, step by step: the file, the import, and what uses the version then.
import { api, newKey } from "../api/client";
import { errorOf, offline } from "../api/error";
import { versionQuery, queryClient } from "../api/queries";
import type { Template, TemplateVersion } from "../api/types";
import type { Package } from "./pick";
import { isImporting, POLL_MS } from "./queries";

export interface Plan {
  made: Package;
  organization: string;
  name: string;
  /** null: it becomes a new template. */
  template: Template | null;
  version: string;
  message: string;
  isActivated: boolean;
}

export interface Progress {
  /** From 0 to 1, how much is sent. */
  onSent(part: number): void;
  /** The version that is imported now. */
  onVersion(version: TemplateVersion): void;
}

/** The version once its import is over, and in use where that was planned and the import went well. */
export async function upload(plan: Plan, progress: Progress): Promise<TemplateVersion> {
  const file = await sendFile(plan.made, progress.onSent);
  const begun = await api.post("/api/v2/organizations/{organization}/templateversions", {
    path: { organization: plan.organization },
    body: {
      name: plan.version,
      message: plan.message,
      template_id: plan.template?.id ?? null,
      storage_method: "file",
      file_id: file,
      provisioner: "terraform",
    },
    idempotencyKey: newKey(),
  });
  progress.onVersion(begun);
  const version = await imported(begun);
  progress.onVersion(version);
  if (version.job.status !== "succeeded") return version;
  if (plan.template === null) {
    await api.post("/api/v2/organizations/{organization}/templates", {
      path: { organization: plan.organization },
      body: { name: plan.name, template_version_id: version.id },
      idempotencyKey: newKey(),
    });
  } else if (plan.isActivated) {
    await activate(plan.template.id, version.id);
  }
  return version;
}

export function activate(template: string, version: string): Promise<unknown> {
  return api.patch("/api/v2/templates/{template}/versions", {
    path: { template },
    body: { id: version },
  });
}

async function imported(begun: TemplateVersion): Promise<TemplateVersion> {
  let version = begun;
  while (isImporting(version)) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    version = await queryClient.fetchQuery({ ...versionQuery(begun.id), staleTime: 0 });
  }
  return version;
}

/** The id of the stored file. Not fetch, which does not tell how much is sent. */
function sendFile({ body, type }: Package, onSent: (part: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/v2/files");
    request.setRequestHeader("Content-Type", type);
    request.upload.onprogress = ({ loaded, total }) => onSent(total ? loaded / total : 1);
    request.onerror = () => reject(offline());
    request.onload = () => {
      const { status, responseText } = request;
      if (status === 200 || status === 201) {
        resolve((JSON.parse(responseText) as { hash: string }).hash);
      } else {
        reject(errorOf(status, request.getResponseHeader("X-Taskyard-Reason"), responseText));
      }
    };
    request.send(body);
  });
}
