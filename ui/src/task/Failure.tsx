import { useMutation } from "@tanstack/react-query";

import type { Task } from "../api/types";
import { Button, Notice } from "../design";
import { visible } from "../design/text";
import { tellError } from "../design/toast";
import { pauseTask, resumeTask, retryTask } from "../tasks/actions";
import { refusal } from "../tasks/verbs";
import { show } from "./Header";
import { labelOf } from "./phases";
import css from "./task.module.css";

/** Why a task is in error, and the ways out that are open now. */
export function Failure({ task }: { task: Task }) {
  const deed = useMutation({
    mutationFn: (run: () => Promise<Task>) => run(),
    onSuccess: show,
    onError: tellError,
  });
  if (task.status !== "error" || !task.failure) return null;
  const ways = [
    ["Try again", "retry", retryTask],
    ["Resume", "resume", resumeTask],
    ["Pause", "pause", pauseTask],
  ] as const;
  const open = ways.filter(([, verb]) => !refusal(verb, task)).slice(0, 1);
  return (
    <div className={css.failure}>
      <Notice title={task.failure.phase ? `Failed at: ${labelOf(task.failure.phase)}` : "Failed"}>
        <p className={css.reason}>{visible(task.failure.reason)}</p>
        <p>{visible(task.failure.advice)}</p>
        <div className={css.ways}>
          {open.map(([label, verb, run]) => (
            <Button
              key={verb}
              disabled={deed.isPending}
              onClick={() => deed.mutate(() => run(task))}
            >
              {label}
            </Button>
          ))}
        </div>
      </Notice>
    </div>
  );
}
