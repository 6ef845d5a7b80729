// What the task changed in its repository, committed or not.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useId, useMemo, useRef, useState } from "react";

import { api, ApiError } from "../../api/client";
import { queryClient } from "../../api/queries";
import type { Task, TaskDiff } from "../../api/types";
import { Button, Dialog, Empty, ErrorBox, Field } from "../../design";
import { CUT_LINE_CHARS, visible } from "../../design/text";
import { tell } from "../../design/toast";
import { CopyButton } from "../Code";
import { foldedAtFirst, parsePatch, rowsOf, type PatchFile, type Row } from "./patch";
import { diffQuery } from "./queries";
import { standingOf } from "./standing";
import css from "./tabs.module.css";
import { Waiting, type TabProps } from "./TaskTabs";
import { WhyNot } from "./WhyNot";

export default function FilesTab({ task, isDeleted }: TabProps) {
  const why = standingOf(task, isDeleted, "to see what it changed");
  const query = diffQuery(task.owner_name, task.id);
  const diff = useQuery({ ...query, enabled: !why, staleTime: 0 });
  if (why) return <WhyNot why={why} task={task} />;
  if (diff.error instanceof ApiError && diff.error.reason === "no_repository") {
    return (
      <Empty title="This task has no repository">
        <p>
          Where a template names one (<code>repo</code> in <code>[workspace]</code>, or a parameter
          of that name), it is cloned, and what the task changes is shown here.
        </p>
      </Empty>
    );
  }
  if (!diff.data) {
    if (!diff.error) return <Waiting />;
    return (
      <div className={css.pad}>
        <ErrorBox error={diff.error} onRetry={() => void diff.refetch()} />
      </div>
    );
  }
  return (
    <Difference
      key={diff.data.diff}
      diff={diff.data}
      task={task}
      isReading={diff.isFetching}
      onRead={() => void diff.refetch()}
    />
  );
}

function Difference({
  diff,
  task,
  isReading,
  onRead,
}: {
  diff: TaskDiff;
  task: Task;
  isReading: boolean;
  onRead: () => void;
}) {
  const files = useMemo(() => parsePatch(diff.diff), [diff.diff]);
  const [folded, setFolded] = useState(() => foldedAtFirst(files));
  const [isPushing, setPushing] = useState(false);
  const rows = useMemo(() => rowsOf(files, folded), [files, folded]);
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => (rows[index]?.kind === "file" ? 37 : 20),
    overscan: 20,
  });
  const fold = (file: number) =>
    setFolded((before) => {
      const after = new Set(before);
      if (!after.delete(file)) after.add(file);
      return after;
    });
  const areAllFolded = folded.size === files.length;
  const go = (file: number) => {
    const index = rows.findIndex((row) => row.kind === "file" && row.file === file);
    virtual.scrollToIndex(index, { align: "start" });
  };
  const list = <FileList diff={diff} files={files} onGo={go} />;
  const count = `${diff.files.length} ${diff.files.length === 1 ? "file" : "files"} changed`;
  return (
    <div className={css.part}>
      <div className={css.bar}>
        <span className={css.summary}>
          <strong>{count}</strong>
          {diff.base_branch && (
            <>
              {" since "}
              <bdi className={css.mono}>{visible(diff.base_branch)}</bdi>
            </>
          )}
          {diff.branch && (
            <>
              {" on "}
              <bdi className={css.mono}>{visible(diff.branch)}</bdi>
            </>
          )}
          {diff.uncommitted && ", not all of it committed"}
        </span>
        {diff.diff && <CopyButton text={diff.diff} label="Copy all" />}
        {files.length > 1 && (
          <Button onClick={() => setFolded(areAllFolded ? new Set() : new Set(files.keys()))}>
            {areAllFolded ? "Unfold all" : "Fold all"}
          </Button>
        )}
        <Button disabled={isReading} onClick={onRead}>
          Refresh
        </Button>
        {(diff.files.length > 0 || diff.uncommitted) && (
          <Button onClick={() => setPushing(true)}>Push…</Button>
        )}
      </div>
      {diff.truncated && (
        <p className={css.told} role="note">
          This is not all: the difference is too large to be shown whole. A shell in the Terminal
          tab has the rest.
        </p>
      )}
      {diff.files.length === 0 ? (
        <Empty title="Nothing has changed">
          <p>The files are as they were when the work began.</p>
        </Empty>
      ) : (
        <div className={css.split}>
          <nav className={css.files} aria-label="Changed files">
            {list}
          </nav>
          <details className={css.filesFold}>
            <summary>List of files</summary>
            {list}
          </details>
          <div
            ref={scroller}
            className={css.scroll}
            role="region"
            aria-label="Difference"
            tabIndex={0}
          >
            <div className={css.rows} style={{ height: virtual.getTotalSize() }}>
              {virtual.getVirtualItems().map((item) => (
                <div
                  key={item.key}
                  ref={virtual.measureElement}
                  data-index={item.index}
                  className={css.row}
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  <RowView
                    row={rows[item.index]!}
                    files={files}
                    diff={diff.diff}
                    isFolded={folded.has(rows[item.index]!.file)}
                    onFold={fold}
                  />
                </div>
              ))}
            </div>
          </div>
        </div>
      )}
      <PushDialog task={task} diff={diff} isOpen={isPushing} onClose={() => setPushing(false)} />
    </div>
  );
}

function FileList({
  diff,
  files,
  onGo,
}: {
  diff: TaskDiff;
  files: readonly PatchFile[];
  onGo: (file: number) => void;
}) {
  const places = useMemo(
    () => new Map(files.map((file, index) => [file.path, index] as const)),
    [files],
  );
  return (
    <ul>
      {diff.files.map((file) => {
        const place = places.get(file.path);
        return (
          <li key={file.path}>
            <button
              type="button"
              className={css.file}
              title={visible(file.path)}
              disabled={place === undefined}
              onClick={() => place !== undefined && onGo(place)}
            >
              <span className={css.path}>
                <bdi>{visible(file.path)}</bdi>
              </span>
              <Counts added={file.added} removed={file.removed} />
            </button>
          </li>
        );
      })}
    </ul>
  );
}

/** null: a binary file, whose lines nobody counts. */
function Counts({ added, removed }: { added: number | null; removed: number | null }) {
  if (added === null || removed === null) return <span className={css.counts}>binary</span>;
  return (
    <span className={css.counts}>
      <span className={css.plus} aria-label={`${added} lines added`}>
        +{added}
      </span>
      <span className={css.minus} aria-label={`${removed} lines removed`}>
        −{removed}
      </span>
    </span>
  );
}

function RowView({
  row,
  files,
  diff,
  isFolded,
  onFold,
}: {
  row: Row;
  files: readonly PatchFile[];
  diff: string;
  isFolded: boolean;
  onFold: (file: number) => void;
}) {
  switch (row.kind) {
    case "file": {
      const file = files[row.file]!;
      return (
        <div className={css.fileHead}>
          <button
            type="button"
            className={css.fold}
            aria-expanded={!isFolded}
            onClick={() => onFold(row.file)}
          >
            <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
              <path d="M4 2l4 4-4 4" fill="none" stroke="currentColor" strokeWidth="1.5" />
            </svg>
            <bdi>{visible(file.path)}</bdi>
          </button>
          {file.change !== "changed" && <span className={css.tag}>{file.change}</span>}
          <Counts
            added={file.isBinary ? null : file.added}
            removed={file.isBinary ? null : file.removed}
          />
          <CopyButton text={diff.slice(...file.span)} />
        </div>
      );
    }
    case "hunk":
      return (
        <div className={css.hunk}>
          <bdi>{visible(row.head.slice(0, CUT_LINE_CHARS))}</bdi>
        </div>
      );
    case "told":
      return (
        <p className={css.told}>
          <bdi>{visible(row.text)}</bdi>
        </p>
      );
    case "line": {
      const { sign, text, old, fresh } = row.line;
      if (sign === "\\") return <p className={css.told}>No line break at the end of the file.</p>;
      const shown = text.slice(0, CUT_LINE_CHARS);
      return (
        <div className={css.line} data-sign={sign}>
          <span>{old}</span>
          <span>{fresh}</span>
          <i>{sign === "-" ? "−" : sign}</i>
          <code dir="auto">
            {visible(shown)}
            {text.length > shown.length && (
              <span className={css.faint}> … {text.length - shown.length} more characters</span>
            )}
          </code>
        </div>
      );
    }
  }
}

function PushDialog({
  task,
  diff,
  isOpen,
  onClose,
}: {
  task: Task;
  diff: TaskDiff;
  isOpen: boolean;
  onClose: () => void;
}) {
  const [words, setWords] = useState("");
  const form = useId();
  const push = useMutation({
    mutationFn: () =>
      api.post("/api/v2/tasks/{user}/{task}/push", {
        path: { user: task.owner_name, task: task.id },
        body: { commit: words.trim() },
      }),
    onSuccess: (pushed) => {
      const what = `${visible(pushed.branch)} (${visible(pushed.commit.slice(0, 12))})`;
      tell(
        pushed.changed ? `Pushed ${what}.` : `${what} was there already.`,
        pushed.uncommitted ? "Changes that are not committed were left out." : visible(pushed.url),
      );
      onClose();
      void queryClient.invalidateQueries({ queryKey: ["diff"] });
    },
  });
  return (
    <Dialog
      title="Push the work branch"
      isOpen={isOpen}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" form={form} disabled={push.isPending}>
            {push.isPending ? "Pushing…" : "Push"}
          </Button>
        </>
      }
    >
      <p>
        <bdi className={css.mono}>{visible(diff.branch)}</bdi> goes to the repository that the task
        was cloned from, with the secret GIT_TOKEN.
      </p>
      <form
        id={form}
        onSubmit={(event) => {
          event.preventDefault();
          push.mutate();
        }}
      >
        <Field
          label="Message of a commit"
          hint={
            diff.uncommitted
              ? "Everything is committed under it first. Empty: what is not committed stays behind."
              : "Everything is committed already."
          }
          value={words}
          disabled={!diff.uncommitted}
          onChange={(event) => setWords(event.target.value)}
        />
      </form>
      {push.error && <ErrorBox error={push.error} />}
    </Dialog>
  );
}
