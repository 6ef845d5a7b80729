import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type ReactElement } from "react";

import type { Task } from "../api/types";
import { tell, tellError } from "../design/toast";
import { deleteTask } from "../tasks/actions";
import { DeleteDialog } from "../tasks/DeleteDialog";

/** What asks whether a task is to be deleted, and the dialog to be put on the page. */
export function useDelete(task: Task): [ask: () => void, dialog: ReactElement] {
  const navigate = useNavigate();
  const [isAsking, setAsking] = useState(false);
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
  const dialog = (
    <DeleteDialog
      tasks={[task]}
      isOpen={isAsking}
      isBusy={remove.isPending}
      onClose={() => setAsking(false)}
      onDelete={() => remove.mutate()}
    />
  );
  return [() => setAsking(true), dialog];
}
