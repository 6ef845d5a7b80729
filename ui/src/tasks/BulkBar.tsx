// What is done with several tasks at once.
import { useState } from "react";

import { asError } from "../api/error";
import type { Task } from "../api/types";
import { Button, Dialog } from "../design";
import { oneLine } from "../design/text";
import { tell } from "../design/toast";
import { deleteTask, onEach, pauseTask, type Refused } from "./actions";
import { DeleteDialog } from "./DeleteDialog";
import css from "./list.module.css";
import { refusal } from "./verbs";

const counted = (count: number) => `${count} ${count === 1 ? "task" : "tasks"}`;

interface Running {
  doing: string;
  ended: number;
  of: number;
}

interface Left {
  title: string;
  refused: readonly Refused<Task>[];
}

export function BulkBar({
  tasks,
  onSelect,
}: {
  tasks: readonly Task[];
  onSelect: (selected: ReadonlySet<string>) => void;
}) {
  const [isAsking, setAsking] = useState(false);
  const [running, setRunning] = useState<Running | null>(null);
  const [left, setLeft] = useState<Left | null>(null);
  const pausable = tasks.filter((task) => !refusal("pause", task));

  const run = async (
    chosen: readonly Task[],
    deed: (task: Task) => Promise<unknown>,
    [doing, done, not]: readonly [string, string, string],
  ) => {
    let ended = 0;
    setRunning({ doing, ended, of: chosen.length });
    const refused = await onEach(chosen, deed, () => {
      ended += 1;
      setRunning({ doing, ended, of: chosen.length });
    });
    setRunning(null);
    setAsking(false);
    const count = chosen.length - refused.length;
    if (count) tell(`${counted(count)} ${done}.`);
    // Those that were refused stay chosen, for another try.
    onSelect(new Set(refused.map(({ task }) => task.id)));
    if (refused.length) setLeft({ title: `${counted(refused.length)} ${not}`, refused });
  };

  return (
    <>
      {tasks.length > 0 && (
        <div className={css.bulk} role="region" aria-label="Selected tasks">
          <span role="status">
            {running
              ? `${running.doing} ${running.ended} of ${running.of}…`
              : `${counted(tasks.length)} selected`}
          </span>
          <Button
            disabled={running !== null || pausable.length === 0}
            title={pausable.length ? undefined : "None of them can be paused now."}
            onClick={() =>
              void run(pausable, pauseTask, ["Pausing", "told to pause", "could not be paused"])
            }
          >
            Pause
            {pausable.length < tasks.length && pausable.length > 0 ? ` ${pausable.length}` : ""}
          </Button>
          <Button kind="danger" disabled={running !== null} onClick={() => setAsking(true)}>
            Delete…
          </Button>
          <Button kind="quiet" disabled={running !== null} onClick={() => onSelect(new Set())}>
            Clear
          </Button>
        </div>
      )}
      <DeleteDialog
        tasks={tasks}
        isOpen={isAsking}
        isBusy={running !== null}
        onClose={() => setAsking(false)}
        onDelete={() =>
          void run(tasks, deleteTask, ["Deleting", "deleted", "could not be deleted"])
        }
      />
      <Dialog
        title={left?.title ?? ""}
        isOpen={left !== null}
        onClose={() => setLeft(null)}
        actions={
          <Button onClick={() => setLeft(null)} autoFocus>
            Close
          </Button>
        }
      >
        <ul className={css.named}>
          {left?.refused.map(({ task, error }) => (
            <li key={task.id}>
              <bdi>{oneLine(task.display_name || task.name)}</bdi>: {asError(error).message}
            </li>
          ))}
        </ul>
      </Dialog>
    </>
  );
}
