// How a start went: each phase with its time while it runs, and where it failed.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState, type ReactNode } from "react";

import { phasesQuery, taskQuery } from "../api/queries";
import { stripAnsi } from "../design/ansi";
import { Plain } from "../design/Plain";
import { visible } from "../design/text";
import { span } from "../design/time";
import type { Entry } from "./conversation";
import type { Place } from "./Entries";
import css from "./entries.module.css";
import { Fold } from "./Fold";
import { LongText } from "./LongText";
import { bootMs, bootOf, queueWords, timeline, type Step } from "./phases";

/** Milliseconds between two looks at the place in the queue, which no event tells. */
const QUEUE_MS = 5_000;

const STATE_SIGNS = { waiting: "○", running: "◐", done: "✓", failed: "✕", skipped: "–" } as const;

export function Boot({ entry, place }: { entry: Extract<Entry, { kind: "boot" }>; place: Place }) {
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
      <Steps
        steps={steps}
        told={isNewest ? place.failure : ""}
        queue={isNewest && <QueuePlace place={place} />}
      />
      {state === "failed" && isNewest && !place.failure && <BootFailure place={place} />}
    </section>
  );
}

/** told: a reason that is said already. queue: what there is to say while it waits for its turn. */
function Steps({
  steps,
  told = "",
  queue,
}: {
  steps: readonly Step[];
  told?: string;
  queue?: ReactNode;
}) {
  return (
    <ol className={css.steps}>
      {steps.map((step) => (
        <li key={step.phase} data-state={step.state}>
          <span aria-hidden="true">{STATE_SIGNS[step.state]}</span>
          <span>{step.label}</span>
          <span className="sr-only">{step.state}</span>
          <span className={css.stepMs}>
            {step.state === "running" && step.since !== null ? (
              <Running since={step.since} />
            ) : (
              step.ms !== null && span(step.ms)
            )}
          </span>
          {step.phase === "queued" && step.state === "running" && queue}
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

/** How long a phase takes so far, by whole seconds. */
function Running({ since }: { since: number }) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.floor((now - since) / 1000));
  return (
    <span aria-hidden="true">{seconds < 1 ? "" : span(seconds * 1000).replace(".0", "")}</span>
  );
}

/** The place of a task that waits until there is room for it. */
function QueuePlace({ place }: { place: Place }) {
  const { data } = useQuery({ ...taskQuery(...place.address), refetchInterval: QUEUE_MS });
  const words = queueWords(data?.queue);
  return words ? <span className={css.stepNote}>{words}</span> : null;
}

function BootFailure({ place }: { place: Place }) {
  const { data } = useQuery(phasesQuery(...place.address));
  const failure = data?.failure;
  if (!failure) return null;
  const lines = failure.lines.join("\n");
  return (
    <>
      {lines.trim() !== "" && lines.trim() !== failure.reason && (
        <div className={css.pre}>
          <LongText text={lines} side="tail" isOutput name="lines" />
        </div>
      )}
      <p>
        <strong>What to do:</strong> {visible(failure.advice)}
      </p>
    </>
  );
}
