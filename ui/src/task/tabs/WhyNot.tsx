import { useMutation } from "@tanstack/react-query";

import type { Task } from "../../api/types";
import { Button, Empty } from "../../design";
import { tellError } from "../../design/toast";
import { resumeTask } from "../../tasks/actions";
import { show } from "../show";
import type { Standing } from "./standing";

/** Why there is nothing to see here, with the button that changes it where there is one. */
export function WhyNot({ why, task }: { why: Standing; task: Task }) {
  const resume = useMutation({
    mutationFn: () => resumeTask(task),
    onSuccess: show,
    onError: tellError,
  });
  return (
    <Empty title={why.title}>
      <p>{why.detail}</p>
      {why.canResume && (
        <Button disabled={resume.isPending} onClick={() => resume.mutate()}>
          {resume.isPending ? "Resuming…" : "Resume"}
        </Button>
      )}
    </Empty>
  );
}
