import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { queryClient, taskQuery } from "../api/queries";
import type { Task } from "../api/types";
import { Badge, Button, Time } from "../design";
import { Menu, MenuItem, MenuLine } from "../design/Menu";
import { tell, tellError } from "../design/toast";
import { visible } from "../design/text";
import { deleteTask, interruptTask, pauseTask, resumeTask } from "../tasks/actions";
import { DeleteDialog } from "../tasks/DeleteDialog";
import { lookOf, wordOf } from "../tasks/state";
import { refusal } from "../tasks/verbs";
import css from "./task.module.css";

/** Puts a task as it was just read where the page looks for it. */
export function show(task: Task | void): void {
  if (!task) return;
  for (const word of [task.id, task.name]) {
    const { queryKey } = taskQuery(task.owner_name, word);
    if (queryClient.getQueryData(queryKey)) queryClient.setQueryData(queryKey, task);
  }
  void queryClient.invalidateQueries({ queryKey: ["task"] });
}

export function Header({
  task,
  isDeleted,
  isMine,
}: {
  task: Task;
  isDeleted: boolean;
  isMine: boolean;
}) {
  const navigate = useNavigate();
  const [isAsking, setAsking] = useState(false);
  const deed = useMutation({
    mutationFn: (run: () => Promise<Task | void>) => run(),
    onSuccess: show,
    onError: tellError,
  });
  const remove = useMutation({
    mutationFn: () => deleteTask(task),
    onSuccess: async () => {
      setAsking(false);
      tell("The task was deleted.");
      await navigate({ to: "/tasks" });
    },
    onError: (error) => {
      setAsking(false);
      tellError(error);
    },
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
              onSelect={() => setAsking(true)}
            >
              Delete…
            </MenuItem>
          </Menu>
        </div>
      )}
      <DeleteDialog
        tasks={[task]}
        isOpen={isAsking}
        isBusy={remove.isPending}
        onClose={() => setAsking(false)}
        onDelete={() => remove.mutate()}
      />
    </header>
  );
}
