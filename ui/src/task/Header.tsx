import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import type { Task } from "../api/types";
import { Badge, Button, Time } from "../design";
import { Menu, MenuItem, MenuLine } from "../design/Menu";
import { tell, tellError } from "../design/toast";
import { visible } from "../design/text";
import { interruptTask, pauseTask, resumeTask } from "../tasks/actions";
import { lookOf, wordOf } from "../tasks/state";
import { refusal } from "../tasks/verbs";
import { InputDialog, RenameDialog } from "./dialogs";
import { save, transcriptFile } from "./save";
import { show } from "./show";
import css from "./task.module.css";
import { useDelete } from "./useDelete";

export function Header({
  task,
  isDeleted,
  isMine,
}: {
  task: Task;
  isDeleted: boolean;
  isMine: boolean;
}) {
  const [dialog, setDialog] = useState<"rename" | "input" | null>(null);
  const [askDelete, deleteDialog] = useDelete(task);
  const deed = useMutation({
    mutationFn: (run: () => Promise<Task | void>) => run(),
    onSuccess: show,
    onError: tellError,
  });
  const look = lookOf(task);
  const word = wordOf(task);
  const isWorking = word === "working" || word === "waiting";
  const isPaused = !refusal("resume", task);
  const run = (what: () => Promise<Task | void>) => deed.mutate(what);
  return (
    <header className={css.header}>
      <div className={css.headline}>
        <h1 title={visible(task.display_name || task.name)}>
          <bdi>{visible(task.display_name || task.name)}</bdi>
        </h1>
        <p className={css.meta}>
          {isDeleted ? (
            <Badge tone="paused" isPill>
              Deleted
            </Badge>
          ) : (
            <Badge tone={look.tone} isPill>
              {look.label}
            </Badge>
          )}
          <bdi>{visible(task.template_display_name || task.template_name)}</bdi>
          {!isMine && <bdi>{visible(task.owner_name)}</bdi>}
          <span>
            <Time at={task.created_at} />
          </span>
          <code className={css.slug}>{task.name}</code>
        </p>
      </div>
      {!isDeleted && (
        <div className={css.actions}>
          {isWorking && (
            <Button disabled={deed.isPending} onClick={() => run(() => interruptTask(task))}>
              Interrupt
            </Button>
          )}
          {isPaused ? (
            <Button disabled={deed.isPending} onClick={() => run(() => resumeTask(task))}>
              Resume
            </Button>
          ) : (
            <Button
              disabled={deed.isPending || refusal("pause", task) !== ""}
              title={refusal("pause", task) || "Stop the workspace and keep its files"}
              onClick={() => run(() => pauseTask(task))}
            >
              Pause
            </Button>
          )}
          <Menu
            trigger={
              <Button isIcon aria-label="More">
                ⋯
              </Button>
            }
          >
            <MenuItem onSelect={() => setDialog("rename")}>Rename…</MenuItem>
            <MenuItem
              isDisabled={refusal("input", task) !== ""}
              title={refusal("input", task) || undefined}
              onSelect={() => setDialog("input")}
            >
              Edit the input…
            </MenuItem>
            <MenuLine />
            <MenuItem onSelect={() => save(transcriptFile(task, "markdown"))}>
              Save the transcript as Markdown
            </MenuItem>
            <MenuItem onSelect={() => save(transcriptFile(task, "jsonl"))}>
              Save the transcript as JSON lines
            </MenuItem>
            <MenuItem
              onSelect={() =>
                void navigator.clipboard
                  ?.writeText(`taskyard task logs -f ${task.name}`)
                  .then(() => tell("Copied."))
              }
            >
              Copy the command to follow it
            </MenuItem>
            <MenuLine />
            <MenuItem
              isDanger
              isDisabled={refusal("delete", task) !== ""}
              title={refusal("delete", task) || undefined}
              onSelect={askDelete}
            >
              Delete…
            </MenuItem>
          </Menu>
        </div>
      )}
      {deleteDialog}
      {dialog === "rename" && <RenameDialog task={task} onClose={() => setDialog(null)} />}
      {dialog === "input" && <InputDialog task={task} onClose={() => setDialog(null)} />}
    </header>
  );
}
