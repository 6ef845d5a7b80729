import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useRef } from "react";

import { api, newKey } from "../api/client";
import { taskStore } from "../tasks/live";

export interface Wish {
  version: string;
  input: string;
}

/** Creates a task and opens it. The key stays until it worked, so that trying again makes no second task. */
export function useCreateTask() {
  const navigate = useNavigate();
  const key = useRef({ wish: "", key: "" });
  return useMutation({
    mutationFn: (wish: Wish) => {
      const text = JSON.stringify(wish);
      if (key.current.wish !== text) key.current = { wish: text, key: newKey() };
      return api.post("/api/v2/tasks/{user}", {
        path: { user: "me" },
        body: { template_version_id: wish.version, input: wish.input },
        idempotencyKey: key.current.key,
      });
    },
    onSuccess: (task) => {
      key.current = { wish: "", key: "" };
      taskStore().learn(task);
      void navigate({
        to: "/tasks/$user/$task",
        params: { user: task.owner_name, task: task.id },
      });
    },
  });
}
