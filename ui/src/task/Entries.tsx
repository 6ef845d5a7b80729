// How each entry of a conversation looks.
import { lazy, memo, Suspense } from "react";

import { Time } from "../design";
import { Plain } from "../design/Plain";
import { stripAnsi } from "../design/ansi";
import { oneLine, visible } from "../design/text";
import { Boot } from "./Boot";
import type { Entry } from "./conversation";
import css from "./entries.module.css";
import { Fold } from "./Fold";
import { LongText } from "./LongText";
import { Permission } from "./Permission";
import { Tool } from "./Tool";

const Markdown = lazy(() => import("./markdown"));

/** Characters up to which a text is read as Markdown; what is longer is a log, not prose. */
const MARKDOWN_CHARS = 60_000;

/** Levels of quotes and lists beyond which what reads Markdown leaves the text out. */
const TOO_DEEP = /^(?:[ \t]*(?:>|[-*+][ \t]|\d+[.)][ \t])){40}/m;

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
    <div className={css.prompt}>
      <LongText text={stripAnsi(entry.text)} isOutput={isCode} />
      <div className={css.stamp}>
        <Time at={entry.time} />
      </div>
    </div>
  );
}

function Text({ entry, isOutput }: { entry: Of<"text">; isOutput: boolean }) {
  const isProse = !isOutput && entry.text.length <= MARKDOWN_CHARS && !TOO_DEEP.test(entry.text);
  const plain = (
    <LongText
      text={isOutput ? entry.text : stripAnsi(entry.text)}
      side="tail"
      isOutput={isOutput}
    />
  );
  return (
    <article
      className={isOutput ? css.output : css.text}
      aria-label={entry.isWhole ? "Whole answer" : "Answer so far"}
      aria-busy={!entry.isWhole}
    >
      {isProse ? (
        <Suspense fallback={<Plain text={stripAnsi(entry.text)} />}>
          <Markdown text={entry.text} />
        </Suspense>
      ) : (
        plain
      )}
    </article>
  );
}

function Thought({ entry }: { entry: Of<"thought"> }) {
  return (
    <Fold summary={<span className={css.muted}>Thought: {oneLine(entry.text, 120)}</span>}>
      <div className={css.muted}>
        <LongText text={stripAnsi(entry.text)} />
      </div>
    </Fold>
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

function Report({ entry }: { entry: Of<"report"> }) {
  const isLink = /^https?:\/\//i.test(entry.link);
  return (
    <section className={css.report} aria-label="Report" data-outcome={entry.outcome}>
      <LongText text={stripAnsi(entry.summary)} />
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
      <LongText text={stripAnsi(entry.text)} />
      {entry.more && (
        <Fold summary="Its last screen">
          <div className={css.pre}>
            <LongText text={entry.more} side="tail" isOutput name="more" />
          </div>
        </Fold>
      )}
    </div>
  );
}
