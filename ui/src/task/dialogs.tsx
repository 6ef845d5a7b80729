// Dialogs that change what a task is called and what it is to do.
import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";

import { promptsQuery, queryClient } from "../api/queries";
import type { Task } from "../api/types";
import {
  Button,
  Dialog,
  ErrorBox,
  Field,
  fieldClass,
  hintClass,
  inputClass,
  labelClass,
} from "../design";
import { tell } from "../design/toast";
import { changeInput, renameTask } from "../tasks/actions";
import { refusal } from "../tasks/verbs";
import { show } from "./show";
import css from "./task.module.css";

/** Characters of a display name that the server takes. */
const NAME_CHARS = 64;

export function RenameDialog({ task, onClose }: { task: Task; onClose: () => void }) {
  const [name, setName] = useState(task.display_name);
  const rename = useMutation({
    mutationFn: () => renameTask(task, name.trim()),
    onSuccess: (fresh) => {
      show(fresh);
      tell("The task was renamed.");
      onClose();
    },
  });
  const canSave = name.trim() !== "" && !rename.isPending;
  return (
    <Dialog
      title="Rename this task"
      isOpen
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" form="rename" disabled={!canSave}>
            {rename.isPending ? "Renaming…" : "Rename"}
          </Button>
        </>
      }
    >
      <form
        id="rename"
        onSubmit={(event) => {
          event.preventDefault();
          if (canSave) rename.mutate();
        }}
      >
        <Field
          label="Name"
          hint={`Its address keeps the name ${task.name}.`}
          value={name}
          maxLength={NAME_CHARS}
          autoFocus
          onFocus={(event) => event.currentTarget.select()}
          onChange={(event) => setName(event.target.value)}
        />
      </form>
      {rename.error && <ErrorBox error={rename.error} />}
    </Dialog>
  );
}

export function InputDialog({ task, onClose }: { task: Task; onClose: () => void }) {
  const [text, setText] = useState(task.initial_prompt);
  const id = useId();
  const why = refusal("input", task);
  const change = useMutation({
    mutationFn: () => changeInput(task, text),
    onSuccess: (fresh) => {
      show(fresh);
      for (const word of [task.id, task.name]) {
        const { queryKey } = promptsQuery(task.owner_name, word);
        void queryClient.invalidateQueries({ queryKey });
      }
      tell("The input was changed.", "The coding agent gets it when the task is resumed.");
      onClose();
    },
  });
  const isSame = text === task.initial_prompt;
  const canSave = text.trim() !== "" && !isSame && !why && !change.isPending;
  return (
    <Dialog
      title="Edit the input"
      isOpen
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" disabled={!canSave} onClick={() => change.mutate()}>
            {change.isPending ? "Saving…" : "Save"}
          </Button>
        </>
      }
    >
      <div className={fieldClass}>
        <label className={labelClass} htmlFor={id}>
          Input
        </label>
        <textarea
          id={id}
          className={`${inputClass} ${css.input}`}
          rows={8}
          autoFocus
          value={text}
          aria-describedby={`${id}-note`}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && canSave) {
              change.mutate();
            }
          }}
        />
        <p id={`${id}-note`} className={hintClass}>
          {why ||
            "It goes to the coding agent once, when the task is resumed, before what is queued. Unchanged, nothing is sent."}
        </p>
      </div>
      {change.error && <ErrorBox error={change.error} />}
    </Dialog>
  );
}
