import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useRef } from "react";

import { api, newKey } from "../api/client";
import { taskStore } from "../tasks/live";

export interface Wish {
  version: string;
  input: string;
  preset?: string;
  values?: { name: string; value: string }[];
  title?: string;
  /** Name of whom it is for; whoever asks by default. */
  owner?: string;
}

/** Creates a task and opens it. The key stays until it worked, so that trying again makes no second task. */
export function useCreateTask(onCreated?: () => void) {
  const navigate = useNavigate();
  const key = useRef({ wish: "", key: "" });
  return useMutation({
    mutationFn: (wish: Wish) => {
      const text = JSON.stringify(wish);
      if (key.current.wish !== text) key.current = { wish: text, key: newKey() };
      return api.post("/api/v2/tasks/{user}", {
        path: { user: wish.owner || "me" },
        body: {
          template_version_id: wish.version,
          input: wish.input,
          ...(wish.preset && { template_version_preset_id: wish.preset }),
          ...(wish.values?.length && { rich_parameter_values: wish.values }),
          ...(wish.title && { display_name: wish.title }),
        },
        idempotencyKey: key.current.key,
      });
    },
    onSuccess: (task) => {
      key.current = { wish: "", key: "" };
      onCreated?.();
      taskStore().learn(task);
      void navigate({
        to: "/tasks/$user/$task",
        params: { user: task.owner_name, task: task.id },
      });
    },
  });
}
