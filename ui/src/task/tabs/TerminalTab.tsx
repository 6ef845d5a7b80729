// A shell in the workspace, or the screen of a coding agent that has one.
import { useEffect, useId, useRef, useState } from "react";

import { addressOf } from "../../api/client";
import type { Task } from "../../api/types";
import { Button, Dialog, Kbd } from "../../design";
import { visible } from "../../design/text";
import { Line, socketAddress, type LineState, type Socket } from "./line";
import { openScreen } from "./screen";
import { standingOf } from "./standing";
import css from "./tabs.module.css";
import type { TabProps } from "./TaskTabs";
import { WhyNot } from "./WhyNot";

type What = "shell" | "agent";

/** Shells that this tab of the browser opened, by task: a shell goes on for ten minutes without anybody. */
const KEY = "taskyard-shell-";

const recall = (task: string) => sessionStorage.getItem(KEY + task) ?? "";
const remember = (task: string, id: string) =>
  id ? sessionStorage.setItem(KEY + task, id) : sessionStorage.removeItem(KEY + task);

export default function TerminalTab({ task, isDeleted }: TabProps) {
  const why = standingOf(task, isDeleted, "to open a terminal");
  const [what, setWhat] = useState<What>("shell");
  const [attempt, setAttempt] = useState(0);
  if (why) return <WhyNot why={why} task={task} />;
  const again = () => setAttempt((before) => before + 1);
  return (
    <Session
      key={`${what} ${attempt} ${task.workspace_agent_id}`}
      task={task}
      what={what}
      onWhat={setWhat}
      onAgain={again}
      onNew={() => {
        remember(task.id, "");
        again();
      }}
    />
  );
}

function Session({
  task,
  what,
  onWhat,
  onAgain,
  onNew,
}: {
  task: Task;
  what: What;
  onWhat: (what: What) => void;
  onAgain: () => void;
  onNew: () => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const [state, setState] = useState<LineState>({ is: "connecting" });
  const [link, setLink] = useState("");
  const hint = useId();
  const isWatching = what === "agent";
  const { id: taskId, owner_name: owner } = task;

  useEffect(() => {
    if (!box.current) return;
    let line: Line | null = null; // the first size is known before it
    const screen = openScreen({
      box: box.current,
      hintId: hint,
      isReadOnly: isWatching,
      onTyped: (text) => line?.type(text),
      onTypedBytes: (bytes) => line?.typeBytes(bytes),
      onSize: (cols, rows) => !isWatching && line?.resize(cols, rows),
      onLink: setLink,
      onLeave: leave,
    });
    const { terminal } = screen;
    if (!isWatching) screen.fit();
    const path = isWatching ? "attach" : "terminal";
    const query = isWatching
      ? {}
      : { cols: terminal.cols, rows: terminal.rows, id: recall(taskId) };
    const names = { user: owner, task: taskId };
    const address = addressOf(`/api/v2/tasks/{user}/{task}/${path}`, names, query);
    line = new Line({
      open: () => new WebSocket(socketAddress(address, location)) as unknown as Socket,
      onBytes: (bytes) => terminal.write(bytes),
      onId: (id) => remember(taskId, id),
      onState: (now) => {
        setState(now);
        if (now.is === "open" && now.size) terminal.resize(now.size.cols, now.size.rows);
        if (now.is === "open") terminal.focus();
        if (now.is !== "ended") return;
        terminal.options.disableStdin = true;
        if (!now.canReturn && !isWatching) remember(taskId, "");
      },
    });
    const sizing = new ResizeObserver(() => !isWatching && screen.fit());
    sizing.observe(box.current);
    return () => {
      sizing.disconnect();
      line?.close();
      screen.dispose();
    };
  }, [taskId, owner, isWatching, hint]);

  return (
    <div className={css.part}>
      <div className={css.bar}>
        <span className={css.segments} role="group" aria-label="What is shown">
          <Button aria-pressed={!isWatching} onClick={() => isWatching && onWhat("shell")}>
            Shell
          </Button>
          <Button aria-pressed={isWatching} onClick={() => !isWatching && onWhat("agent")}>
            Coding agent
          </Button>
        </span>
        <span className={css.grow} role="status">
          {told(state, isWatching)}
        </span>
        <span id={hint} className={css.keys}>
          <Kbd>Ctrl</Kbd> <Kbd>Shift</Kbd> <Kbd>E</Kbd> leaves the terminal
        </span>
      </div>
      <div className={css.terminal} data-fixed={isWatching} data-testid="terminal">
        <div ref={box} className={css.screen} />
      </div>
      {state.is === "ended" && (
        <div className={css.over} role="alert">
          <bdi>{visible(state.message)}</bdi>
          {(state.canReturn || !isWatching) && <Button onClick={onAgain}>Open again</Button>}
          {state.canReturn && !isWatching && <Button onClick={onNew}>New shell</Button>}
        </div>
      )}
      <Dialog
        title="Open this address?"
        isOpen={link !== ""}
        onClose={() => setLink("")}
        actions={
          <>
            <Button onClick={() => setLink("")} autoFocus>
              Stay
            </Button>
            <Button
              kind="primary"
              onClick={() => {
                window.open(link, "_blank", "noopener,noreferrer");
                setLink("");
              }}
            >
              Open in a new tab
            </Button>
          </>
        }
      >
        <p>A program in the workspace wrote this link. What it shows may be another address.</p>
        <p className={css.address}>
          <bdi>{visible(link)}</bdi>
        </p>
      </Dialog>
    </div>
  );
}

/** The focus goes to the tab that is open, from where every part of the page is reached. */
function leave(): void {
  document.querySelector<HTMLElement>('[role="tab"][aria-selected="true"]')?.focus();
}

function told(state: LineState, isWatching: boolean): string {
  switch (state.is) {
    case "connecting":
      return "Connecting…";
    case "ended":
      return "Closed";
    case "open":
      if (isWatching) return "Only watching. To type: taskyard task attach.";
      return state.isFresh ? "A new shell in the workspace" : "The shell as you left it";
  }
}
