// One task: what it is, what was said and done, and what to say next.
import { useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useEffect, useMemo, useRef } from "react";

import { ApiError } from "../api/client";
import { meQuery, taskQuery } from "../api/queries";
import type { Task } from "../api/types";
import { Bone, buttonClass, Empty, ErrorBox } from "../design";
import { visible } from "../design/text";
import { lookAt } from "../notices/browser";
import { useTitle } from "../notices/title";
import { lastWords, lookOf } from "../tasks/state";
import { Composer } from "./Composer";
import { ConversationView } from "./ConversationView";
import type { Place } from "./Entries";
import { Failure } from "./Failure";
import { Header } from "./Header";
import { TaskTabs } from "./tabs/TaskTabs";
import css from "./task.module.css";
import { useTranscript } from "./useTranscript";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export default function TaskPage() {
  const { user, task: word } = useParams({ strict: false }) as { user: string; task: string };
  const task = useQuery(taskQuery(user, word));
  // What was shown stays while its end is told.
  const known = useRef<Task | null>(null);
  if (task.data) known.current = task.data;
  else if (known.current && known.current.id !== word && known.current.name !== word) {
    known.current = null;
  }
  const isGone = task.error instanceof ApiError && task.error.status === 404;

  if (known.current && (task.data || isGone)) {
    return (
      <Live key={known.current.id} task={known.current} isGone={isGone} user={user} word={word} />
    );
  }
  if (isGone && UUID.test(word)) return <Leftover user={user} id={word} />;
  if (isGone) return <Gone />;
  if (task.error) {
    return (
      <div className={css.centre}>
        <ErrorBox error={task.error} onRetry={() => void task.refetch()} />
      </div>
    );
  }
  return (
    <div className={css.loading} role="status" aria-busy="true" aria-label="Reading the task">
      <Bone width={40} />
      <Bone width={70} />
      <Bone width={55} />
    </div>
  );
}

function Gone() {
  return (
    <Empty title="There is no such task">
      <p>It was deleted, or it belongs to somebody whose tasks you may not see.</p>
      <Link to="/tasks" className={buttonClass()}>
        All tasks
      </Link>
    </Empty>
  );
}

function Live({
  task,
  isGone,
  user,
  word,
}: {
  task: Task;
  isGone: boolean;
  user: string;
  word: string;
}) {
  const { data: me } = useSuspenseQuery(meQuery);
  const [transcript, view] = useTranscript(task.owner_name, task.id, user, word);
  const look = lookOf(task);
  const name = visible(task.display_name || task.name);
  const isDeleted = isGone || view.isDeleted;
  useTitle(`${look.group === "waiting" ? "● " : ""}${name}`);
  useEffect(() => lookAt(task.id), [task.id]);
  const failure = task.status === "error" ? (task.failure?.reason ?? "") : "";
  const place: Place = useMemo(
    () => ({
      path: { user: task.owner_name, task: task.id },
      address: [user, word],
      isShell: task.template_name === "shell" || view.conversation.agent === "shell",
      newestBuild: task.workspace_build_number ?? 1,
      failure,
    }),
    [
      task.owner_name,
      task.id,
      user,
      word,
      task.template_name,
      view.conversation.agent,
      task.workspace_build_number,
      failure,
    ],
  );
  return (
    <div className={css.page}>
      <Header task={task} isDeleted={isDeleted} isMine={task.owner_id === me.id} />
      <p className="sr-only" role="status">
        {isDeleted ? "Deleted" : `${look.label}. ${visible(lastWords(task))}`}
      </p>
      <TaskTabs
        task={task}
        isDeleted={isDeleted}
        conversation={
          <div className={css.page}>
            {!isDeleted && <Failure task={task} />}
            <ConversationView transcript={transcript} view={view} place={place} task={task} />
            {isDeleted ? (
              <p className={css.ended}>
                This task was deleted. What it said and did can still be read.
              </p>
            ) : (
              <Composer task={task} place={place} />
            )}
          </div>
        }
      />
    </div>
  );
}

/** A task that is deleted already: its transcript is kept for a while, by its id. */
function Leftover({ user, id }: { user: string; id: string }) {
  const [transcript, view] = useTranscript(user, id, user, id);
  const place: Place = useMemo(
    () => ({
      path: { user, task: id },
      address: [user, id],
      isShell: view.conversation.agent === "shell",
      newestBuild: Infinity,
      failure: "",
    }),
    [user, id, view.conversation.agent],
  );
  if (view.error instanceof ApiError && view.error.status === 404) return <Gone />;
  return (
    <div className={css.page}>
      <header className={css.header}>
        <h1>Deleted task</h1>
      </header>
      <ConversationView transcript={transcript} view={view} place={place} task={null} />
      <p className={css.ended}>This task was deleted. What it said and did can still be read.</p>
    </div>
  );
}
