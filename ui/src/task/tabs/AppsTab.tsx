// The servers in the workspace that people look at. Each has a host name of its own, and is never shown from the page's.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api } from "../../api/client";
import type { WorkspaceApp } from "../../api/types";
import { Badge, Button, Empty, ErrorBox } from "../../design";
import { visible } from "../../design/text";
import { tell, tellError } from "../../design/toast";
import { appsOf, canFrame, healthOf, sharedWith } from "./apps";
import { standingOf } from "./standing";
import { workspaceQuery } from "./queries";
import css from "./tabs.module.css";
import { Waiting, type TabProps } from "./TaskTabs";
import { WhyNot } from "./WhyNot";

/** Milliseconds between looks at the health of apps, which no stream tells. */
const LOOK_MS = 5_000;

export default function AppsTab({ task, isDeleted }: TabProps) {
  const why = standingOf(task, isDeleted, "to see its apps");
  const workspaceId = task.workspace_id ?? "";
  const workspace = useQuery({
    ...workspaceQuery(workspaceId),
    enabled: !why,
    refetchInterval: LOOK_MS,
  });
  if (why) return <WhyNot why={why} task={task} />;
  if (!workspace.data) {
    if (!workspace.error) return <Waiting />;
    return (
      <div className={css.pad}>
        <ErrorBox error={workspace.error} onRetry={() => void workspace.refetch()} />
      </div>
    );
  }
  const apps = appsOf(workspace.data, task.workspace_app_id);
  if (apps.length === 0) {
    return (
      <Empty title="This template has no apps">
        <p>
          An app is a server in the workspace, such as a development server. The template lists it
          as <code>[[app]]</code> with its address; then it is shown here.
        </p>
      </Empty>
    );
  }
  return (
    <div className={css.scroll}>
      <ul className={css.apps}>
        {apps.map((app) => (
          <li key={app.id} className={css.app}>
            <AppCard app={app} workspaceId={workspaceId} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function AppCard({ app, workspaceId }: { app: WorkspaceApp; workspaceId: string }) {
  const [address, setAddress] = useState("");
  const name = visible(app.display_name || app.slug);
  const [tone, health] = healthOf(app);
  const ticket = () =>
    api.post("/api/v2/workspaces/{workspace}/apps/{app}/ticket", {
      path: { workspace: workspaceId, app: app.slug },
      body: {},
    });
  const open = useMutation({
    mutationFn: async () => {
      // Opened at once, as browsers let nothing open by itself later; it gets its address when there is one.
      const tab = window.open("", "_blank");
      if (tab) tab.opener = null;
      try {
        const { url } = await ticket();
        tab?.location.replace(url);
        if (!tab)
          tell("The browser opened no tab.", "Allow this page to open tabs, and try again.");
      } catch (error) {
        tab?.close();
        throw error;
      }
    },
    onError: tellError,
  });
  const preview = useMutation({
    mutationFn: ticket,
    onSuccess: ({ url }) => setAddress(url),
    onError: tellError,
  });
  return (
    <>
      <div className={css.appHead}>
        <div className={css.appName}>
          <h2>
            <bdi>{name}</bdi>
          </h2>
          <Badge tone={tone}>{health}</Badge>
        </div>
        <div className={css.appActions}>
          {canFrame(app) && (
            <Button
              disabled={preview.isPending}
              aria-expanded={address !== ""}
              onClick={() => (address ? setAddress("") : preview.mutate())}
            >
              {address ? "Hide" : "Show here"}
            </Button>
          )}
          <Button kind="primary" disabled={open.isPending} onClick={() => open.mutate()}>
            Open in a new tab
          </Button>
        </div>
      </div>
      <p className={css.note}>
        For {sharedWith(app)}.
        {!canFrame(app) &&
          " It opens in a tab of its own: browsers keep what it knows you by out of frames."}
      </p>
      {address && (
        <iframe
          className={css.frame}
          src={address}
          title={`${name}, a preview`}
          sandbox="allow-scripts allow-forms allow-same-origin allow-popups"
          referrerPolicy="no-referrer"
        />
      )}
    </>
  );
}
