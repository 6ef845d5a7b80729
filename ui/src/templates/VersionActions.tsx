// What may be done with a version: made active, put into the archive and taken out, its import canceled.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import settings from "../account/settings.module.css";
import { api } from "../api/client";
import type { Template, TemplateVersion } from "../api/types";
import { Button, Dialog, ErrorBox } from "../design";
import { visible } from "../design/text";
import { tell, tellError } from "../design/toast";
import { isImporting, refreshTemplates } from "./queries";
import { activate } from "./send";

export function VersionActions({
  template,
  version,
}: {
  template: Template;
  version: TemplateVersion;
}) {
  const [isAsking, setAsking] = useState(false);
  const path = { version: version.id };
  const name = visible(version.name);
  const promote = useMutation({
    mutationFn: () => activate(template.id, version.id),
    onSuccess: async () => {
      setAsking(false);
      tell(`${name} is active.`, "New tasks use it.");
      await refreshTemplates();
    },
  });
  const archive = useMutation({
    mutationFn: () =>
      version.archived
        ? api.post("/api/v2/templateversions/{version}/unarchive", { path })
        : api.post("/api/v2/templateversions/{version}/archive", { path }),
    onSuccess: async () => {
      tell(version.archived ? `${name} can be used again.` : `${name} is archived.`);
      await refreshTemplates();
    },
    onError: tellError,
  });
  if (version.id === template.active_version_id) return null;
  if (isImporting(version)) return <CancelImport version={version} />;
  return (
    <div className={settings.rowActions}>
      {version.job.status === "succeeded" && !version.archived && (
        <Button
          aria-label={`Make active: ${name}`}
          onClick={() => {
            promote.reset();
            setAsking(true);
          }}
        >
          Make active
        </Button>
      )}
      <Button
        kind="quiet"
        disabled={archive.isPending}
        aria-label={`${version.archived ? "Unarchive" : "Archive"} ${name}`}
        onClick={() => archive.mutate()}
      >
        {version.archived ? "Unarchive" : "Archive"}
      </Button>
      <Dialog
        title={`Make ${name} active?`}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        actions={
          <>
            <Button onClick={() => setAsking(false)}>Keep</Button>
            <Button kind="primary" disabled={promote.isPending} onClick={() => promote.mutate()}>
              {promote.isPending ? "One moment…" : "Make it active"}
            </Button>
          </>
        }
      >
        <p>
          New tasks are made of it from now on. Tasks that are there stay on the version they have,
          but for those that follow the active one: they take it at their next start.
        </p>
        {promote.error && <ErrorBox error={promote.error} />}
      </Dialog>
    </div>
  );
}

export function CancelImport({ version }: { version: TemplateVersion }) {
  const cancel = useMutation({
    mutationFn: () =>
      api.patch("/api/v2/templateversions/{version}/cancel", { path: { version: version.id } }),
    onSuccess: refreshTemplates,
    onError: tellError,
  });
  return (
    <Button
      disabled={cancel.isPending || version.job.status === "canceling"}
      onClick={() => cancel.mutate()}
    >
      Cancel the import
    </Button>
  );
}
