// How the import of a version went: what is wrong, each problem at its place, and the log.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";

import type { TemplateVersion } from "../api/types";
import { Bone, Button, ErrorBox } from "../design";
import { visible } from "../design/text";
import { CopyButton } from "../task/Code";
import { logOfImport } from "../task/tabs/followLog";
import { LineView } from "../task/tabs/LineView";
import { asText, type LogLine } from "../task/tabs/logLines";
import { useLogs } from "../task/tabs/useLogs";
import { fileOf } from "./pick";
import { around, problemsOf, type Problem } from "./problems";
import { isImporting, sourceQuery } from "./queries";
import css from "./templates.module.css";
import { countWord } from "./words";

export function ImportLog({ version }: { version: TemplateVersion }) {
  const logs = useMemo(() => [logOfImport(version.id)], [version.id]);
  const { lines, isRead, error } = useLogs(logs);
  const box = useRef<HTMLDivElement>(null);
  const isOver = !isImporting(version);
  const { job } = version;
  // Before the log is read the problems are not known, and one of them would be shown as all.
  const problems =
    job.status === "failed" && isRead ? problemsOf(lines, job.error ?? "It failed.") : [];
  const find = (logged: number) => {
    const line = box.current?.querySelector<HTMLElement>(`[data-line="${logged}"]`);
    line?.scrollIntoView({ block: "center" });
    line?.focus();
  };
  useEffect(() => {
    if (!isOver && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines, isOver]);
  return (
    <>
      {problems.length > 0 && (
        <Problems problems={problems} file={version.job.file_id} onFind={find} />
      )}
      <section className={css.box} aria-labelledby="import-log">
        <div className={css.logHead}>
          <h2 id="import-log">Import log</h2>
          {lines.length > 0 && <CopyButton text={() => asText(lines)} label="Copy all" />}
        </div>
        {error !== null && <ErrorBox error={error} />}
        {lines.length > 0 ? (
          <div ref={box} className={css.log} role="log" aria-label="Import log" tabIndex={0}>
            {lines.map((line) => (
              <Line key={line.id} line={line} />
            ))}
          </div>
        ) : isRead && isOver ? (
          <p className={css.lead}>Nothing was written.</p>
        ) : (
          error === null && <Bone width={60} />
        )}
      </section>
    </>
  );
}

/** A line that can be gone to. */
function Line({ line }: { line: LogLine }) {
  return (
    <div tabIndex={-1} data-line={line.id}>
      <LineView line={line} />
    </div>
  );
}

function Problems({
  problems,
  file,
  onFind,
}: {
  problems: readonly Problem[];
  file: string;
  onFind: (logged: number) => void;
}) {
  const hasPlaces = problems.some(({ line }) => line !== null);
  const { data: files } = useQuery({ ...sourceQuery(file), enabled: hasPlaces, retry: false });
  return (
    <section className={css.problems} role="alert" aria-labelledby="problems">
      <h2 id="problems">
        {problems.length === 1
          ? "The import failed"
          : `The import failed: ${countWord(problems.length, "problem")}`}
      </h2>
      <ul>
        {problems.map((problem, index) => (
          <li key={index}>
            <div className={css.problem}>
              {problem.file && <bdi className={css.place}>{placeOf(problem)}</bdi>}
              <span>
                <bdi>{visible(problem.text)}</bdi>
              </span>
              {problem.logged !== null && (
                <Button kind="quiet" onClick={() => onFind(problem.logged!)}>
                  In the log
                </Button>
              )}
            </div>
            {problem.line !== null && files && (
              <Source
                text={textOf(fileOf(files, problem.file)?.content)}
                line={problem.line}
                label={placeOf(problem)}
              />
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function placeOf({ file, line }: Problem): string {
  return visible(line === null ? file : `${file}:${line}`);
}

function textOf(content: Uint8Array | undefined): string {
  return content ? new TextDecoder().decode(content) : "";
}

/** The lines around a place, the one that is meant marked. */
function Source({ text, line, label }: { text: string; line: number; label: string }) {
  const lines = around(text, line);
  if (lines.length === 0) return null;
  return (
    <pre className={css.source} tabIndex={0} role="group" aria-label={label}>
      {lines.map((one) => (
        <span key={one.number} data-wrong={one.number === line || undefined}>
          <b>{one.number}</b>
          <bdi>{visible(one.text.slice(0, 400)) || " "}</bdi>
        </span>
      ))}
    </pre>
  );
}
