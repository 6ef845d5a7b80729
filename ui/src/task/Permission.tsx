// What the coding agent asks: where it was asked, and above the composer while that place is out of view.
import { useMutation, useQuery } from "@tanstack/react-query";
import { use, useEffect, useRef, useState } from "react";

import { api, newKey } from "../api/client";
import { permissionsQuery, queryClient } from "../api/queries";
import type { PermissionOption } from "../api/types";
import { Button, ErrorBox } from "../design";
import { stripAnsi } from "../design/ansi";
import { Plain } from "../design/Plain";
import { oneLine } from "../design/text";
import { absolute } from "../design/time";
import { useNow } from "../design/useNow";
import type { Entry } from "./conversation";
import type { Place } from "./Entries";
import css from "./entries.module.css";
import { answeredBy, leftWords } from "./permissions";
import { Seen } from "./seen";

export function Permission({
  entry,
  place,
}: {
  entry: Extract<Entry, { kind: "permission" }>;
  place: Place;
}) {
  const row = useRef<HTMLParagraphElement>(null);
  const hadFocus = useRef(false);
  const open = useQuery(permissionsQuery(...place.address));
  const isAnswered = entry.answer !== null;
  // Whoever pressed a button that goes is not thrown to the top of the page.
  useEffect(() => {
    if (isAnswered && hadFocus.current) row.current?.focus({ preventScroll: true });
    hadFocus.current = false;
  }, [isAnswered]);

  if (entry.answer) {
    const option = entry.options.find((one) => one.option_id === entry.answer?.optionId);
    const isNo = entry.answer.outcome === "cancelled" || option?.kind.startsWith("reject") === true;
    return (
      <p ref={row} tabIndex={-1} className={css.answered} data-no={isNo}>
        <span>{option ? oneLine(option.name, 80) : "Withdrawn"}</span>
        {answeredBy(entry.answer.by, entry.answer.name)}:{" "}
        <bdi>{oneLine(stripAnsi(entry.title))}</bdi>
      </p>
    );
  }
  const isOver =
    open.data !== undefined &&
    !open.isFetching &&
    !open.data.permissions.some((one) => one.id === entry.id);
  if (isOver) {
    return (
      <p className={css.answered} data-no="true">
        <span>Not waiting any more</span>: <bdi>{oneLine(stripAnsi(entry.title))}</bdi>
      </p>
    );
  }
  return (
    <div onFocus={() => (hadFocus.current = true)}>
      <Question
        id={entry.id}
        title={entry.title}
        options={entry.options}
        expiresAt={entry.expiresAt}
        place={place}
      />
    </div>
  );
}

/** A question with its buttons. */
export function Question({
  id,
  title,
  options,
  expiresAt,
  place,
}: {
  id: string;
  title: string;
  options: readonly PermissionOption[];
  expiresAt: string | null;
  place: Place;
}) {
  const card = useRef<HTMLElement>(null);
  const seen = use(Seen);
  const now = useNow();
  const answer = useMutation({
    mutationFn: (option: string) =>
      api.post("/api/v2/tasks/{user}/{task}/permissions/{permission}", {
        path: { ...place.path, permission: id },
        body: { option_id: option },
        idempotencyKey: newKey(),
      }),
    onSettled: () =>
      queryClient.invalidateQueries({ queryKey: permissionsQuery(...place.address).queryKey }),
  });

  useEffect(() => {
    if (!card.current || !seen) return;
    const watcher = new IntersectionObserver(([at]) => seen.set(id, at?.isIntersecting === true));
    watcher.observe(card.current);
    return () => {
      watcher.disconnect();
      seen.set(id, false);
    };
  }, [id, seen]);

  return (
    <section ref={card} className={css.permission} aria-label="Question to you">
      <h3>May it do this?</h3>
      <div className={css.question} tabIndex={0}>
        <Plain text={stripAnsi(title)} isOutput />
      </div>
      <div className={css.options}>
        {options.map((option, index) => (
          <Button
            key={option.option_id}
            kind={index === 0 && option.kind.startsWith("allow") ? "primary" : "plain"}
            aria-disabled={answer.isPending || answer.isSuccess}
            onClick={() =>
              !answer.isPending && !answer.isSuccess && answer.mutate(option.option_id)
            }
          >
            {oneLine(option.name, 80)}
          </Button>
        ))}
      </div>
      {expiresAt && (
        <p className={css.muted} title={absolute(Date.parse(expiresAt))}>
          {leftWords(Date.parse(expiresAt), now)}
        </p>
      )}
      {answer.error && <ErrorBox error={answer.error} />}
    </section>
  );
}

/** What waits for an answer while nobody sees where it was asked. show: leads there; false where that is not at hand. */
export function Waiting({ place, show }: { place: Place; show: (id: string) => boolean }) {
  const { data } = useQuery(permissionsQuery(...place.address));
  const [here, setHere] = useState("");
  const inView = use(Seen)?.useAll();
  const away = data?.permissions.filter((one) => !inView?.has(one.id)) ?? [];
  const first = away.find((one) => one.id === here) ?? away[0];
  if (!first) return null;
  if (first.id === here) {
    return (
      <div className={css.waitingHere}>
        <Seen value={null}>
          <Question
            id={first.id}
            title={first.title}
            options={first.options}
            expiresAt={first.expires_at}
            place={place}
          />
        </Seen>
      </div>
    );
  }
  const title = oneLine(stripAnsi(first.title), 200);
  return (
    <div className={css.waiting}>
      <p role="status">
        <strong>Waiting for you:</strong> <bdi>{title}</bdi>
        {away.length > 1 && ` and ${away.length - 1} more`}
      </p>
      <Button
        aria-label={`Show the question: ${title.slice(0, 80)}`}
        onClick={() => !show(first.id) && setHere(first.id)}
      >
        Show
      </Button>
    </div>
  );
}
