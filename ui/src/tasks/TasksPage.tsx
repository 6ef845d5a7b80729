// The list of all tasks: which one waits for somebody, what each does, why one failed.
import { useSuspenseQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useDeferredValue, useMemo, useState, useSyncExternalStore } from "react";

import { meQuery } from "../api/queries";
import type { Task } from "../api/types";
import { Bone, Button, buttonClass, Empty, ErrorBox } from "../design";
import { QuickStart } from "../new-task/QuickStart";
import { useTitle } from "../notices/title";
import { BulkBar } from "./BulkBar";
import { listing, readSearch } from "./filter";
import css from "./list.module.css";
import { taskStore } from "./live";
import { GROUPS, type Group } from "./state";
import { TaskList } from "./TaskList";

export default function TasksPage() {
  const { data: me } = useSuspenseQuery(meQuery);
  const store = taskStore();
  const { tasks, isComplete, isLoading, error } = useSyncExternalStore(store.watch, store.get);
  const search = readSearch(useSearch({ strict: false }));
  const deferred = useDeferredValue(tasks);
  // The first rows are not to wait for a second drawing.
  const shown = deferred.size === 0 ? tasks : deferred;
  const { q, state, owner } = search;
  const list = useMemo(
    () => listing(shown.values(), readSearch({ q, state, owner }), me.id),
    [shown, q, state, owner, me.id],
  );
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const chosen = useMemo(
    () => [...selected].map((id) => tasks.get(id)).filter((task): task is Task => Boolean(task)),
    [selected, tasks],
  );
  const hasOthers = useMemo(
    () => [...shown.values()].some((task) => task.owner_id !== me.id),
    [shown, me.id],
  );

  useTitle("Tasks");

  if (tasks.size === 0 && error && !isLoading) {
    return (
      <div className={css.centre}>
        <ErrorBox error={error} onRetry={() => void store.load()} />
      </div>
    );
  }
  if (tasks.size === 0 && !isComplete) return <Waiting />;
  if (tasks.size === 0) return <QuickStart />;

  return (
    <div className={css.page}>
      <div className={css.tools}>
        <h1 className={css.title}>Tasks</h1>
        <Filters
          counts={list.counts}
          total={list.total}
          state={state}
          owner={owner}
          others={hasOthers}
        />
        <Link to="/tasks/new" className={`${buttonClass("primary")} ${css.new}`}>
          New task
        </Link>
      </div>
      {error !== null && <ErrorBox error={error} onRetry={() => void store.load()} />}
      {list.rows.length === 0 ? (
        <NoMatch isComplete={isComplete} />
      ) : (
        <TaskList rows={list.rows} selected={selected} onSelect={setSelected} />
      )}
      <BulkBar tasks={chosen} onSelect={setSelected} />
    </div>
  );
}

function Filters({
  counts,
  total,
  state,
  owner,
  others,
}: {
  counts: Record<Group, number>;
  total: number;
  state: Group | undefined;
  owner: "me" | undefined;
  others: boolean;
}) {
  const chips = [["", "All", total] as const].concat(
    GROUPS.map(([group, title]) => [group, title, counts[group]] as const) as never,
  );
  return (
    <nav className={css.filters} aria-label="Filter">
      {chips.map(([group, title, count]) => (
        <Link
          key={group}
          to="/tasks"
          search={(before) => readSearch({ ...before, state: group }) as never}
          className={css.chip}
          data-active={(state ?? "") === group}
          aria-current={(state ?? "") === group ? "true" : undefined}
          activeOptions={{ includeSearch: true }}
        >
          {title} <span className={css.count}>{count}</span>
        </Link>
      ))}
      {(others || owner) && (
        <Link
          to="/tasks"
          search={(before) => readSearch({ ...before, owner: owner ? "" : "me" }) as never}
          className={css.chip}
          data-active={owner === "me"}
          activeOptions={{ includeSearch: true }}
        >
          Only mine
        </Link>
      )}
    </nav>
  );
}

function NoMatch({ isComplete }: { isComplete: boolean }) {
  const navigate = useNavigate();
  if (!isComplete) return <Waiting />;
  return (
    <Empty title="No task matches">
      <p>Names, templates, owners and last words are searched.</p>
      <Button onClick={() => void navigate({ to: "/tasks", search: {} })}>Show all tasks</Button>
    </Empty>
  );
}

function Waiting() {
  return (
    <div className={css.bones} role="status" aria-busy="true" aria-label="Reading the tasks">
      {[44, 62, 38, 70, 52, 58, 40, 66].map((width, index) => (
        <div key={index}>
          <Bone width={width} />
        </div>
      ))}
    </div>
  );
}
