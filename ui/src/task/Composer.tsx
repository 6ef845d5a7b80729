import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";

import { api, ApiError, newKey } from "../api/client";
import { promptsQuery, queryClient } from "../api/queries";
import type { Task } from "../api/types";
import { Button, ErrorBox, inputClass, Kbd, Notice } from "../design";
import { oneLine } from "../design/text";
import { useGrowing } from "../design/useGrowing";
import { draftOf, keepDraft, queuedWords, waysOf, type Way } from "./compose";
import type { Place } from "./Entries";
import { troubled, troubleWords } from "./outcomes";
import { Queue } from "./Queue";
import css from "./task.module.css";

export function Composer({ task, place }: { task: Task; place: Place }) {
  const [text, setText] = useState(() => draftOf(task.id));
  const [told, setTold] = useState("");
  const area = useGrowing(text);
  const ways = waysOf(task);
  const intent = useRef({ what: "", key: "" });
  useEffect(() => keepDraft(task.id, text), [task.id, text]);

  const readQueue = () =>
    queryClient.invalidateQueries({ queryKey: promptsQuery(...place.address).queryKey });

  const send = useMutation({
    mutationFn: ({ way, input }: { way: Way; input: string }) => {
      const what = `${way}:${input}`;
      if (intent.current.what !== what) intent.current = { what, key: newKey() };
      return api.post("/api/v2/tasks/{user}/{task}/send", {
        path: place.path,
        body: way === "queue" ? { input, when: "queue" } : { input },
        idempotencyKey: intent.current.key,
      });
    },
    onMutate: () => setTold(""),
    onSuccess: (queued, { input }) => {
      intent.current = { what: "", key: "" };
      // What was written meanwhile stays.
      setText((now) => (now === input ? "" : now));
      setTold(queued ? queuedWords(queued.position, queued.waits_for) : "Sent.");
      void readQueue();
    },
  });
  const canSend = text.trim() !== "" && !send.isPending && !ways.refusal;
  const go = (way: Way) => canSend && send.mutate({ way, input: text });
  const putBack = (taken: string) => {
    setText((now) => (now.trim() ? `${taken}\n${now}` : taken));
    area.current?.focus();
  };
  const labels = { send: "Send", queue: "Queue" };

  return (
    <section className={css.composer} aria-label="Write to the task">
      <Troubles place={place} onPutBack={putBack} />
      <Queue place={place} onEdit={putBack} />
      {send.error && (
        <ErrorBox error={send.error}>
          {send.error instanceof ApiError && send.error.status === 0 && (
            <p className={css.sure}>
              Your text is still here. Sending it again is safe: it is taken once.
            </p>
          )}
        </ErrorBox>
      )}
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
          aria-describedby="composer-told"
          placeholder={ways.placeholder}
          disabled={ways.refusal !== ""}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setTold("");
          }}
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
            {send.isPending ? "Sending…" : labels[ways.first]}
          </Button>
        </div>
      </form>
      <p id="composer-told" className={css.told} role="status">
        {told}
      </p>
    </section>
  );
}

/** What was sent and may not have arrived, or was refused on its way. */
function Troubles({ place, onPutBack }: { place: Place; onPutBack: (text: string) => void }) {
  const { data } = useQuery(promptsQuery(...place.address));
  const [dismissed, setDismissed] = useState<ReadonlySet<string>>(new Set());
  const prompt = troubled(data?.prompts ?? [], dismissed)[0];
  if (!prompt) return null;
  const { title, advice } = troubleWords(prompt);
  const dismiss = () => setDismissed(new Set([...dismissed, prompt.id]));
  return (
    <Notice title={title}>
      <p>
        <bdi>{oneLine(prompt.input, 120)}</bdi>
      </p>
      <p>{oneLine(advice, 600)}</p>
      <div className={css.ways}>
        {!prompt.input_truncated && (
          <Button
            onClick={() => {
              onPutBack(prompt.input);
              dismiss();
            }}
          >
            Write it again
          </Button>
        )}
        <Button kind="quiet" onClick={dismiss}>
          Dismiss
        </Button>
      </div>
    </Notice>
  );
}
