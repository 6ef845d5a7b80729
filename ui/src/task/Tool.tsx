// A tool call: folded to its title, and inside what it was given, put out and changed.
import { useMemo } from "react";

import { stripAnsi } from "../design/ansi";
import { oneLine, visible } from "../design/text";
import { toolParts, type ToolCall } from "./conversation";
import { diffLines } from "./diff";
import css from "./entries.module.css";
import { Fold } from "./Fold";
import { useKept } from "./kept";
import { grouped } from "./long";
import { LongText } from "./LongText";

const WORDS: Record<string, string> = {
  execute: "Run",
  read: "Read",
  edit: "Edit",
  delete: "Delete",
  move: "Move",
  search: "Search",
  fetch: "Fetch",
  think: "Think",
};

/** Lines of a difference before "Show all", and at most: what is longer is a generated file. */
const DIFF_LINES = 200;
const DIFF_MOST = 5_000;
const DIFF_CHARS = 1_000;

export function Tool({ call }: { call: ToolCall }) {
  const isOver = call.status === "completed" || call.status === "failed";
  return (
    <Fold
      tone={call.status}
      summary={
        <>
          <span className={css.toolKind}>{WORDS[call.kind] ?? "Tool"}</span>
          <bdi className={css.toolTitle}>{oneLine(stripAnsi(call.title), 200) || "(no title)"}</bdi>
          {call.status !== "completed" && (
            <span className={css.toolState}>{isOver ? "failed" : "running"}</span>
          )}
        </>
      }
    >
      <Inside call={call} />
    </Fold>
  );
}

function Inside({ call }: { call: ToolCall }) {
  const parts = useMemo(() => toolParts(call), [call]);
  const input = useMemo(() => inputText(call.rawInput), [call.rawInput]);
  const isEmpty = parts.texts.length === 0 && parts.diffs.length === 0;
  return (
    <>
      {input && (
        <div className={css.pre}>
          <LongText text={input} isOutput name="input" />
        </div>
      )}
      {parts.diffs.map((diff, index) => (
        <Diff key={index} name={`diff:${index}`} {...diff} />
      ))}
      {parts.texts.map((text, index) => (
        <div key={index} className={css.pre}>
          <LongText text={text} side="tail" isOutput name={`output:${index}`} />
        </div>
      ))}
      {isEmpty && (
        <p className={css.muted}>
          {call.status === "completed" || call.status === "failed"
            ? "It put out nothing."
            : "Nothing put out so far."}
        </p>
      )}
    </>
  );
}

/** A command as it is; other input as JSON. */
function inputText(input: unknown): string {
  if (input === null || input === undefined) return "";
  const command = (input as { command?: unknown }).command;
  if (typeof command === "string") return command;
  if (Array.isArray(command)) return command.map(String).join(" ");
  const text = JSON.stringify(input, null, 2);
  return text === "{}" ? "" : text;
}

function Diff({
  path,
  before,
  after,
  name,
}: {
  path: string;
  before: string;
  after: string;
  name: string;
}) {
  const [isWhole, setWhole] = useKept(`whole:${name}`, false);
  const lines = useMemo(() => diffLines(before, after), [before, after]);
  const shown = lines.slice(0, isWhole ? DIFF_MOST : DIFF_LINES);
  const left = lines.length - shown.length;
  return (
    <figure className={css.diff}>
      <figcaption>
        <bdi>{visible(path)}</bdi>
      </figcaption>
      <pre tabIndex={0}>
        {shown.map((line, index) => (
          <span key={index} data-sign={line.sign}>
            {line.sign === "…" ? "…" : `${line.sign} ${visible(line.text.slice(0, DIFF_CHARS))}`}
            {line.text.length > DIFF_CHARS && "…"}
            {"\n"}
          </span>
        ))}
      </pre>
      {left > 0 && (
        <p className={css.diffMore}>
          {isWhole ? (
            `${grouped(left)} more lines are left out. The tab with the files has them.`
          ) : (
            <button type="button" className={css.showAll} onClick={() => setWhole(true)}>
              Show all ({grouped(lines.length)} lines)
            </button>
          )}
        </p>
      )}
    </figure>
  );
}
