import { Button, Dialog, Kbd } from "../design";
import css from "./list.module.css";

const KEYS = [
  [["j", "k"], "to the next task, and back; arrows do the same"],
  [["x"], "choose the task, or no longer"],
  [["↵"], "open it"],
  [["Esc"], "choose none"],
  [["n"], "a new task"],
  [["/"], "search"],
  [["?"], "this list"],
] as const;

export function KeysDialog({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  return (
    <Dialog
      title="Keys"
      isOpen={isOpen}
      onClose={onClose}
      actions={
        <Button onClick={onClose} autoFocus>
          Close
        </Button>
      }
    >
      <dl className={css.keyList}>
        {KEYS.map(([keys, does]) => (
          <div key={does}>
            <dt>
              {keys.map((key) => (
                <Kbd key={key}>{key}</Kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
