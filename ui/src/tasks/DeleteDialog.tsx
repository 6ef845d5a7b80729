import type { Task } from "../api/types";
import { Button, Dialog } from "../design";
import { oneLine } from "../design/text";
import css from "./list.module.css";

/** Names shown in the dialog; a longer list would be read by nobody. */
const NAMED = 12;

/** Asks once more, naming what will be gone. */
export function DeleteDialog({
  tasks,
  isOpen,
  isBusy,
  onClose,
  onDelete,
}: {
  tasks: readonly Task[];
  isOpen: boolean;
  isBusy: boolean;
  onClose: () => void;
  onDelete: () => void;
}) {
  const isOne = tasks.length === 1;
  return (
    <Dialog
      title={isOne ? "Delete this task?" : `Delete ${tasks.length} tasks?`}
      isOpen={isOpen}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose} autoFocus>
            Keep
          </Button>
          <Button kind="dangerSolid" disabled={isBusy} onClick={onDelete}>
            {isBusy ? "Deleting…" : isOne ? "Delete task" : `Delete ${tasks.length} tasks`}
          </Button>
        </>
      }
    >
      <ul className={css.named}>
        {tasks.slice(0, NAMED).map((task) => (
          <li key={task.id}>
            <bdi>{oneLine(task.display_name || task.name)}</bdi>
          </li>
        ))}
        {tasks.length > NAMED && <li>and {tasks.length - NAMED} more</li>}
      </ul>
      <p>The workspace and all files in it are removed. This cannot be undone.</p>
    </Dialog>
  );
}
