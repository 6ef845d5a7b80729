// How each entry of a conversation looks.
import { useMutation, useQuery } from "@tanstack/react-query";
import { lazy, memo, Suspense, useMemo, useState, type ReactNode } from "react";

import { api, newKey } from "../api/client";
import { phasesQuery } from "../api/queries";
import { Button, ErrorBox, Time } from "../design";
import { Plain } from "../design/Plain";
import { stripAnsi } from "../design/ansi";
import { oneLine, visible } from "../design/text";
import { span } from "../design/time";
import { toolParts, type Entry, type ToolCall } from "./conversation";
import { diffLines } from "./diff";
import css from "./entries.module.css";
import { bootMs, bootOf, timeline, type Step } from "./phases";

const Markdown = lazy(() => import("./markdown"));

/** Characters up to which a text is read as Markdown; what is longer is a log, not prose. */
const MARKDOWN_CHARS = 60_000;

export interface Place {
  /** Owner and id of the task, as the API's path wants them. */
  path: { user: string; task: string };
  /** Words of the page's address, under which queries are kept. */
  address: readonly [user: string, task: string];
  isShell: boolean;
  newestBuild: number;
  /** Why the task is in error, as the page says it above the conversation; empty when it does not. */
  failure: string;
}

type Of<K extends Entry["kind"]> = Extract<Entry, { kind: K }>;

export const EntryView = memo(function EntryView({ entry, place }: { entry: Entry; place: Place }) {
  switch (entry.kind) {
    case "prompt":
      return <Prompt entry={entry} isCode={place.isShell} />;
    case "text":
      return <Text entry={entry} isOutput={place.isShell} />;
    case "thought":
      return <Thought entry={entry} />;
    case "tool":
      // A shell's one tool is the prompt itself, and its output is the answer.
      if (place.isShell && entry.call.status !== "failed") return null;
      return <Tool call={entry.call} />;
    case "plan":
      return <Plan entry={entry} />;
    case "permission":
      return <Permission entry={entry} place={place} />;
    case "report":
      return <Report entry={entry} />;
    case "notice":
      return <NoticeLine entry={entry} />;
    case "boot":
      return <Boot entry={entry} place={place} />;
  }
});

function Prompt({ entry, isCode }: { entry: Of<"prompt">; isCode: boolean }) {
  return (
    <article className={css.prompt} aria-label="Prompt">
      <Plain text={stripAnsi(entry.text)} isOutput={isCode} />
      <div className={css.stamp}>
        <Time at={entry.time} />
      </div>
    </article>
  );
}

function Text({ entry, isOutput }: { entry: Of<"text">; isOutput: boolean }) {
  if (entry.text.trim() === "") return null;
  const plain = (
    <Plain
      text={isOutput ? entry.text.replace(/\n+$/, "") : stripAnsi(entry.text)}
      isOutput={isOutput}
    />
  );
  return (
    <article
      className={isOutput ? css.output : css.text}
      aria-label="Answer"
      aria-busy={!entry.isWhole}
    >
      {isOutput || entry.text.length > MARKDOWN_CHARS ? (
        plain
      ) : (
        <Suspense fallback={plain}>
          <Markdown text={entry.text} />
        </Suspense>
      )}
    </article>
  );
}

/** A line that opens; its content is made only then. */
function Fold({
  summary,
  isOpen = false,
  tone,
  children,
}: {
  summary: ReactNode;
  isOpen?: boolean;
  tone?: string;
  children: ReactNode;
}) {
  const [open, setOpen] = useState(isOpen);
  return (
    <details
      className={css.fold}
      data-tone={tone}
      open={open}
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>{summary}</summary>
      {open && <div className={css.inside}>{children}</div>}
    </details>
  );
}

function Thought({ entry }: { entry: Of<"thought"> }) {
  return (
    <Fold summary={<span className={css.muted}>Thought: {oneLine(entry.text, 120)}</span>}>
      <div className={css.muted}>
        <Plain text={stripAnsi(entry.text)} />
      </div>
    </Fold>
  );
}

const TOOL_WORDS: Record<string, string> = {
  execute: "Run",
  read: "Read",
  edit: "Edit",
  delete: "Delete",
  move: "Move",
  search: "Search",
  fetch: "Fetch",
  think: "Think",
};

function Tool({ call }: { call: ToolCall }) {
  const isOver = call.status === "completed" || call.status === "failed";
  return (
    <Fold
      tone={call.status}
      summary={
        <>
          <span className={css.toolKind}>{TOOL_WORDS[call.kind] ?? "Tool"}</span>
          <bdi className={css.toolTitle}>{oneLine(stripAnsi(call.title), 200) || "(no title)"}</bdi>
          {call.status !== "completed" && (
            <span className={css.toolState}>{isOver ? "failed" : "running"}</span>
          )}
        </>
      }
    >
      <ToolInside call={call} />
    </Fold>
  );
}

function ToolInside({ call }: { call: ToolCall }) {
  const parts = useMemo(() => toolParts(call), [call]);
  const input =
    call.rawInput === null || call.rawInput === undefined ? "" : inputText(call.rawInput);
  const isEmpty = parts.texts.length === 0 && parts.diffs.length === 0;
  return (
    <>
      {input && (
        <pre className={css.pre}>
          <Plain text={input} isOutput />
        </pre>
      )}
      {parts.diffs.map((diff, index) => (
        <Diff key={index} {...diff} />
      ))}
      {parts.texts.map((text, index) => (
        <pre key={index} className={css.pre} tabIndex={0}>
          <Plain text={text} isOutput />
        </pre>
      ))}
      {isEmpty && <p className={css.muted}>It has put out nothing of its own.</p>}
    </>
  );
}

/** A command as it is; other input as JSON. */
function inputText(input: unknown): string {
  const command = (input as { command?: unknown }).command;
  if (typeof command === "string") return command;
  if (Array.isArray(command)) return command.join(" ");
  const text = JSON.stringify(input, null, 2);
  return text === "{}" ? "" : text;
}

function Diff({ path, before, after }: { path: string; before: string; after: string }) {
  const lines = useMemo(() => diffLines(before, after).slice(0, 2000), [before, after]);
  return (
    <figure className={css.diff}>
      <figcaption>
        <bdi>{visible(path)}</bdi>
      </figcaption>
      <pre tabIndex={0}>
        {lines.map((line, index) => (
          <span key={index} data-sign={line.sign}>
            {line.sign === "…" ? "…" : `${line.sign} ${visible(line.text.slice(0, 2000))}`}
            {"\n"}
          </span>
        ))}
      </pre>
    </figure>
  );
}

const STEP_SIGNS: Record<string, string> = { completed: "✓", in_progress: "▸", pending: "○" };
const STEP_WORDS: Record<string, string> = {
  completed: "done",
  in_progress: "under way",
  pending: "to do",
};

function Plan({ entry }: { entry: Of<"plan"> }) {
  return (
    <section className={css.plan} aria-label="Plan">
      <ol>
        {entry.steps.map((step, index) => (
          <li key={index} data-state={step.status}>
            <span aria-hidden="true">{STEP_SIGNS[step.status] ?? "○"}</span>
            <span className="sr-only">{STEP_WORDS[step.status] ?? "to do"}: </span>
            <bdi>{oneLine(step.content, 400)}</bdi>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Permission({ entry, place }: { entry: Of<"permission">; place: Place }) {
  const answer = useMutation({
    mutationFn: (option: string) =>
      api.post("/api/v2/tasks/{user}/{task}/permissions/{permission}", {
        path: { ...place.path, permission: entry.id },
        body: { option_id: option },
        idempotencyKey: newKey(),
      }),
  });
  if (entry.answer) {
    const option = entry.options.find((one) => one.option_id === entry.answer?.optionId);
    const isNo = entry.answer.outcome === "cancelled" || option?.kind.startsWith("reject") === true;
    return (
      <p className={css.answered} data-no={isNo}>
        <span>{option ? oneLine(option.name) : "Withdrawn"}</span>
        {answeredBy(entry.answer.by, entry.answer.name)}:{" "}
        <bdi>{oneLine(stripAnsi(entry.title))}</bdi>
      </p>
    );
  }
  return (
    <section className={css.permission} aria-label="Question to you">
      <h3>May it do this?</h3>
      <pre>
        <Plain text={stripAnsi(entry.title)} />
      </pre>
      <div className={css.options}>
        {entry.options.map((option, index) => (
          <Button
            key={option.option_id}
            kind={index === 0 && option.kind.startsWith("allow") ? "primary" : "plain"}
            disabled={answer.isPending || answer.isSuccess}
            onClick={() => answer.mutate(option.option_id)}
          >
            {oneLine(option.name, 80)}
          </Button>
        ))}
      </div>
      {entry.expiresAt && (
        <p className={css.muted}>
          Denied by itself at {new Date(entry.expiresAt).toLocaleTimeString()}.
        </p>
      )}
      {answer.error && <ErrorBox error={answer.error} />}
    </section>
  );
}

function answeredBy(by: string, name: string | null): string {
  if (by === "person") return name ? `, by ${visible(name)}` : "";
  if (by === "policy") return ", by the template's rule";
  if (by === "timeout") return ", as nobody answered in time";
  return "";
}

function Report({ entry }: { entry: Of<"report"> }) {
  const isLink = /^https?:\/\//i.test(entry.link);
  return (
    <section className={css.report} aria-label="Report" data-outcome={entry.outcome}>
      <Plain text={stripAnsi(entry.summary)} />
      {entry.link &&
        (isLink ? (
          <a href={entry.link} target="_blank" rel="noopener noreferrer nofollow">
            <bdi>{visible(entry.link)}</bdi>
          </a>
        ) : (
          <Plain text={entry.link} />
        ))}
    </section>
  );
}

function NoticeLine({ entry }: { entry: Of<"notice"> }) {
  return (
    <div className={css.notice} data-level={entry.level}>
      <Plain text={stripAnsi(entry.text)} />
      {entry.more && (
        <Fold summary="Its last screen">
          <pre className={css.pre} tabIndex={0}>
            <Plain text={entry.more} isOutput />
          </pre>
        </Fold>
      )}
    </div>
  );
}

const STATE_SIGNS = { waiting: "○", running: "◐", done: "✓", failed: "✕", skipped: "–" } as const;

function Boot({ entry, place }: { entry: Of<"boot">; place: Place }) {
  const steps = useMemo(() => timeline(entry.phases), [entry.phases]);
  const state = bootOf(steps);
  const isNewest = entry.build === place.newestBuild;
  const what = entry.round > 1 ? "Brought back" : entry.build > 1 ? "Started again" : "Started";
  if (state === "usable" || (!isNewest && state === "running")) {
    return (
      <Fold
        summary={
          <span className={css.muted}>
            {state === "usable" ? `${what} in ${span(bootMs(steps))}` : "A start that did not end"}
          </span>
        }
      >
        <Steps steps={steps} />
      </Fold>
    );
  }
  return (
    <section className={css.boot} aria-label="Start" data-state={state}>
      <h3>{state === "failed" ? "The start failed" : "Starting"}</h3>
      <Steps steps={steps} told={isNewest ? place.failure : ""} />
      {state === "failed" && isNewest && <BootFailure place={place} />}
    </section>
  );
}

/** told: a reason that is said already. */
function Steps({ steps, told = "" }: { steps: readonly Step[]; told?: string }) {
  return (
    <ol className={css.steps}>
      {steps.map((step) => (
        <li key={step.phase} data-state={step.state}>
          <span aria-hidden="true">{STATE_SIGNS[step.state]}</span>
          <span>{step.label}</span>
          <span className="sr-only">{step.state}</span>
          <span className={css.stepMs}>{step.ms === null ? "" : span(step.ms)}</span>
          {step.reason && step.reason !== told && step.state === "failed" && (
            <span className={css.stepReason}>
              <Plain text={stripAnsi(step.reason)} />
            </span>
          )}
        </li>
      ))}
    </ol>
  );
}

function BootFailure({ place }: { place: Place }) {
  const { data } = useQuery(phasesQuery(...place.address));
  const failure = data?.failure;
  if (!failure) return null;
  const lines = failure.lines.join("\n");
  return (
    <>
      {lines.trim() !== "" && lines.trim() !== failure.reason && (
        <pre className={css.pre} tabIndex={0}>
          <Plain text={lines} isOutput />
        </pre>
      )}
      {!place.failure && (
        <p>
          <strong>What to do:</strong> {visible(failure.advice)}
        </p>
      )}
    </>
  );
}
