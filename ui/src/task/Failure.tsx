import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { phasesQuery } from "../api/queries";
import type { Task } from "../api/types";
import { Button, buttonClass, Notice } from "../design";
import { visible } from "../design/text";
import { tellError } from "../design/toast";
import { pauseTask, resumeTask, retryTask } from "../tasks/actions";
import { refusal } from "../tasks/verbs";
import entries from "./entries.module.css";
import { LongText } from "./LongText";
import { labelOf } from "./phases";
import { show } from "./show";
import css from "./task.module.css";
import { useDelete } from "./useDelete";

/** Characters of a prompt that an address may carry. */
const MOST_CHARS = 2000;

/** Why a task is in error, the last lines that tell of it, and the ways out that are open now. */
export function Failure({ task }: { task: Task }) {
  const deed = useMutation({
    mutationFn: (run: () => Promise<Task>) => run(),
    onSuccess: show,
    onError: tellError,
  });
  const [askDelete, deleteDialog] = useDelete(task);
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
        <Reason task={task} failure={task.failure} />
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
          {task.initial_prompt.length <= MOST_CHARS && (
            <Link
              to="/tasks/new"
              search={{ template: task.template_name, prompt: task.initial_prompt }}
              className={buttonClass()}
            >
              Start anew
            </Link>
          )}
          {!refusal("delete", task) && (
            <Button kind="danger" onClick={askDelete}>
              Delete…
            </Button>
          )}
        </div>
      </Notice>
      {deleteDialog}
    </div>
  );
}

/** The reason, whole where the log has it so, and the end of the log where it says more than that. */
function Reason({ task, failure }: { task: Task; failure: NonNullable<Task["failure"]> }) {
  const { data } = useQuery({
    ...phasesQuery(task.owner_name, task.id),
    staleTime: 0,
    enabled: Boolean(failure.phase),
  });
  const lines = data?.failure?.lines ?? [];
  const reason = lines.find((line) => line.startsWith(failure.reason)) ?? failure.reason;
  const text = lines.join("\n").trim();
  return (
    <>
      <p className={css.reason}>{visible(reason)}</p>
      {text !== "" && text !== reason.trim() && <LastLines text={text} />}
    </>
  );
}

function LastLines({ text }: { text: string }) {
  return (
    <details className={`${entries.fold} ${css.lines}`}>
      <summary>Its last lines</summary>
      <div className={entries.pre}>
        <LongText text={text} side="tail" isOutput name="last-lines" />
      </div>
    </details>
  );
}
