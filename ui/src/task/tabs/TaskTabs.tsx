// The parts of a task's page. Each but the conversation is loaded when somebody first looks at it.
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Component, lazy, Suspense, type ComponentType, type ReactNode } from "react";

import type { Task } from "../../api/types";
import { Bone, Button, ErrorBox } from "../../design";
import { Tabs } from "../../design/Tabs";
import { readTab, TABS, type TabId } from "./tabs";
import css from "./tabs.module.css";

export interface TabProps {
  task: Task;
  isDeleted: boolean;
}

const PARTS: Readonly<Record<Exclude<TabId, "conversation">, ComponentType<TabProps>>> = {
  terminal: lazy(() => import("./TerminalTab")),
  apps: lazy(() => import("./AppsTab")),
  files: lazy(() => import("./FilesTab")),
  network: lazy(() => import("./NetworkTab")),
  log: lazy(() => import("./LogTab")),
};

/** conversation stays mounted, so that it is found where it was left. */
export function TaskTabs({
  task,
  isDeleted,
  conversation,
}: TabProps & { conversation: ReactNode }) {
  const navigate = useNavigate();
  const { tab } = useSearch({ strict: false }) as { tab?: TabId };
  const go = (id: string) => {
    const chosen = readTab(id);
    void navigate({
      to: ".",
      search: chosen === "conversation" ? {} : { tab: chosen },
      resetScroll: false,
    });
  };
  const tabs = TABS.map(([id, label]) => {
    if (id === "conversation") return { id, label, content: conversation, isKept: true };
    const Part = PARTS[id];
    const content = (
      <Unbroken key={id}>
        <Suspense fallback={<Waiting />}>
          <Part task={task} isDeleted={isDeleted} />
        </Suspense>
      </Unbroken>
    );
    return { id, label, content };
  });
  return (
    <Tabs label="Parts of the task" tabs={tabs} value={readTab(tab)} onChange={go} isFilling />
  );
}

/** Grey bars where the part will be. */
export function Waiting() {
  return (
    <div className={css.waiting} role="status" aria-busy="true" aria-label="Loading">
      <Bone width={35} />
      <Bone width={80} />
      <Bone width={65} />
    </div>
  );
}

/** A part that breaks takes nothing else with it: after an upgrade of the server its file may be gone. */
class Unbroken extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return (
      <div className={css.pad}>
        <ErrorBox error={this.state.error}>
          <Button onClick={() => location.reload()}>Load the page again</Button>
        </ErrorBox>
      </div>
    );
  }
}
