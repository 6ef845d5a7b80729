// What is done with several tasks at once.
import { useState } from "react";

import type { Task } from "../api/types";
import { Button } from "../design";
import { tell, tellError } from "../design/toast";
import { deleteTask, onEach, pauseTask } from "./actions";
import { DeleteDialog } from "./DeleteDialog";
import css from "./list.module.css";
import { refusal } from "./verbs";

const counted = (count: number) => `${count} ${count === 1 ? "task" : "tasks"}`;

export function BulkBar({ tasks, onClear }: { tasks: readonly Task[]; onClear: () => void }) {
  const [isAsking, setAsking] = useState(false);
  const [isBusy, setBusy] = useState(false);
  if (tasks.length === 0) return null;
  const pausable = tasks.filter((task) => !refusal("pause", task));

  const run = async (
    chosen: readonly Task[],
    deed: (task: Task) => Promise<unknown>,
    done: string,
  ) => {
    setBusy(true);
    const failed = await onEach(chosen, deed);
    setBusy(false);
    setAsking(false);
    if (failed.length < chosen.length) tell(`${counted(chosen.length - failed.length)} ${done}.`);
    for (const { error } of failed.slice(0, 3)) tellError(error);
    onClear();
  };

  return (
    <div className={css.bulk} role="region" aria-label="Selected tasks">
      <span>{counted(tasks.length)} selected</span>
      <Button
        disabled={isBusy || pausable.length === 0}
        title={pausable.length ? undefined : "None of them can be paused now."}
        onClick={() => void run(pausable, pauseTask, "told to pause")}
      >
        Pause{pausable.length < tasks.length && pausable.length > 0 ? ` ${pausable.length}` : ""}
      </Button>
      <Button kind="danger" disabled={isBusy} onClick={() => setAsking(true)}>
        Delete…
      </Button>
      <Button kind="quiet" onClick={onClear}>
        Clear
      </Button>
      <DeleteDialog
        tasks={tasks}
        isOpen={isAsking}
        isBusy={isBusy}
        onClose={() => setAsking(false)}
        onDelete={() => void run(tasks, deleteTask, "deleted")}
      />
    </div>
  );
}
