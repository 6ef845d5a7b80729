import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useLayoutEffect, useRef, useState } from "react";

import { api, newKey } from "../api/client";
import { promptsQuery, queryClient } from "../api/queries";
import type { Task, TaskPrompt } from "../api/types";
import { Button, ErrorBox, inputClass, Kbd } from "../design";
import { oneLine } from "../design/text";
import { tellError } from "../design/toast";
import { draftOf, keepDraft, WAITS, waysOf, type Way } from "./compose";
import type { Place } from "./Entries";
import css from "./task.module.css";

export function Composer({ task, place }: { task: Task; place: Place }) {
  const [text, setText] = useState(() => draftOf(task.id));
  const area = useRef<HTMLTextAreaElement>(null);
  const ways = waysOf(task);
  const intent = useRef({ what: "", key: "" });
  useEffect(() => keepDraft(task.id, text), [task.id, text]);

  // The field grows with its text, up to what the style sheet allows.
  useLayoutEffect(() => {
    const field = area.current;
    if (!field) return;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
  }, [text]);

  const readQueue = () =>
    queryClient.invalidateQueries({ queryKey: promptsQuery(...place.address).queryKey });

  const send = useMutation({
    mutationFn: (way: Way) => {
      const what = `${way}:${text}`;
      if (intent.current.what !== what) intent.current = { what, key: newKey() };
      return api.post("/api/v2/tasks/{user}/{task}/send", {
        path: place.path,
        body: way === "queue" ? { input: text, when: "queue" } : { input: text },
        idempotencyKey: intent.current.key,
      });
    },
    onSuccess: () => {
      intent.current = { what: "", key: "" };
      setText("");
      void readQueue();
    },
  });
  const canSend = text.trim() !== "" && !send.isPending && !ways.refusal;
  const go = (way: Way) => canSend && send.mutate(way);
  const labels = { send: "Send", queue: "Queue" };

  return (
    <section className={css.composer} aria-label="Write to the task">
      <Queue
        place={place}
        onTakenBack={(taken) => {
          setText((now) => (now.trim() ? `${taken}\n${now}` : taken));
          area.current?.focus();
        }}
      />
      {send.error && <ErrorBox error={send.error} />}
      <form
        className={css.compose}
        onSubmit={(event) => {
          event.preventDefault();
          go(ways.first);
        }}
      >
        <textarea
          ref={area}
          className={`${inputClass} ${css.field}`}
          rows={1}
          aria-label="Message"
          placeholder={ways.placeholder}
          disabled={ways.refusal !== ""}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
              event.preventDefault();
              go(ways.first);
            }
          }}
        />
        <div className={css.buttons}>
          <span className={css.keyHint} aria-hidden="true">
            <Kbd>Ctrl</Kbd> <Kbd>↵</Kbd>
          </span>
          {ways.other && (
            <Button
              kind="quiet"
              disabled={!canSend}
              title={
                ways.other === "queue"
                  ? "Send it when its turn comes"
                  : "Send it past the queue; refused while a turn runs that takes nothing"
              }
              onClick={() => go(ways.other!)}
            >
              {ways.other === "send" ? "Send now" : "Queue"}
            </Button>
          )}
          <Button kind="primary" type="submit" disabled={!canSend}>
            {labels[ways.first]}
          </Button>
        </div>
      </form>
    </section>
  );
}

/** The prompts that wait for their turn. */
function Queue({ place, onTakenBack }: { place: Place; onTakenBack: (text: string) => void }) {
  const { data } = useQuery(promptsQuery(...place.address));
  const query = promptsQuery(...place.address).queryKey;
  const again = () => void queryClient.invalidateQueries({ queryKey: query });
  const move = useMutation({
    mutationFn: ({ prompt, position }: { prompt: TaskPrompt; position: number }) =>
      api.patch("/api/v2/tasks/{user}/{task}/prompts/{prompt}", {
        path: { ...place.path, prompt: prompt.id },
        body: { position },
      }),
    onSettled: again,
    onError: tellError,
  });
  const drop = useMutation({
    mutationFn: (prompt: TaskPrompt) =>
      api.delete("/api/v2/tasks/{user}/{task}/prompts/{prompt}", {
        path: { ...place.path, prompt: prompt.id },
      }),
    onSuccess: (_, prompt) => onTakenBack(prompt.input),
    onSettled: again,
    onError: tellError,
  });
  const waiting =
    data?.prompts.filter((prompt) => prompt.state === "waiting" && prompt.source === "queue") ?? [];
  if (waiting.length === 0) return null;
  const isBusy = move.isPending || drop.isPending;
  return (
    <div className={css.queue}>
      <h2>
        {waiting.length === 1 ? "1 prompt waits" : `${waiting.length} prompts wait`}{" "}
        {data?.waits_for ? WAITS[data.waits_for] : ""}
      </h2>
      <ol>
        {waiting.map((prompt, index) => (
          <li key={prompt.id}>
            <bdi className={css.queued}>{oneLine(prompt.input)}</bdi>
            {waiting.length > 1 && (
              <>
                <Button
                  kind="quiet"
                  isIcon
                  aria-label={`Move prompt ${index + 1} up`}
                  disabled={isBusy || index === 0}
                  onClick={() => move.mutate({ prompt, position: index })}
                >
                  ↑
                </Button>
                <Button
                  kind="quiet"
                  isIcon
                  aria-label={`Move prompt ${index + 1} down`}
                  disabled={isBusy || index === waiting.length - 1}
                  onClick={() => move.mutate({ prompt, position: index + 2 })}
                >
                  ↓
                </Button>
              </>
            )}
            <Button kind="quiet" disabled={isBusy} onClick={() => drop.mutate(prompt)}>
              Take back
            </Button>
          </li>
        ))}
      </ol>
    </div>
  );
}
