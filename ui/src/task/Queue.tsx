// The prompts that wait for their turn: their places, and what can be done with each.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api } from "../api/client";
import { promptsQuery, queryClient } from "../api/queries";
import type { TaskPrompt } from "../api/types";
import { Button } from "../design";
import { oneLine, visible } from "../design/text";
import { tellError } from "../design/toast";
import { waitWords } from "./compose";
import type { Place } from "./Entries";
import css from "./task.module.css";

export function Queue({
  place,
  onEdit,
}: {
  place: Place;
  /** Takes the text of a prompt that was taken back. */
  onEdit: (text: string) => void;
}) {
  const query = promptsQuery(...place.address);
  const { data } = useQuery(query);
  const [news, setNews] = useState("");
  const again = () => void queryClient.invalidateQueries({ queryKey: query.queryKey });
  const move = useMutation({
    mutationFn: ({ prompt, position }: { prompt: TaskPrompt; position: number }) =>
      api.patch("/api/v2/tasks/{user}/{task}/prompts/{prompt}", {
        path: { ...place.path, prompt: prompt.id },
        body: { position },
      }),
    onSuccess: (_, { position }) => setNews(`Moved to place ${position}.`),
    onSettled: again,
    onError: tellError,
  });
  const drop = useMutation({
    mutationFn: ({ prompt }: { prompt: TaskPrompt; isEdit: boolean }) =>
      api.delete("/api/v2/tasks/{user}/{task}/prompts/{prompt}", {
        path: { ...place.path, prompt: prompt.id },
      }),
    onSuccess: (_, { prompt, isEdit }) => {
      setNews(isEdit ? "Taken back; its text is in the field below." : "Removed from the queue.");
      if (isEdit) onEdit(prompt.input);
    },
    onSettled: again,
    onError: tellError,
  });
  const waiting =
    data?.prompts.filter((prompt) => prompt.state === "waiting" && prompt.source === "queue") ?? [];
  const isBusy = move.isPending || drop.isPending;
  const at = (index: number) => ({ prompt: waiting[index]! });
  return (
    <>
      <p className="sr-only" role="status">
        {news}
      </p>
      {waiting.length > 0 && (
        <section className={css.queue} aria-label="Queue">
          <h2>
            {waiting.length === 1 ? "1 prompt waits" : `${waiting.length} prompts wait`}
            {data?.waits_for ? ` ${waitWords(data.waits_for)}` : ""}
          </h2>
          <ol>
            {waiting.map((prompt, index) => (
              <li key={prompt.id}>
                <span className={css.place}>{index + 1}</span>
                <bdi className={css.queued} title={visible(prompt.input.slice(0, 1000))}>
                  {oneLine(prompt.input)}
                </bdi>
                {waiting.length > 1 && (
                  <>
                    <Button
                      kind="quiet"
                      isIcon
                      aria-label={`Move prompt ${index + 1} up`}
                      aria-disabled={isBusy || index === 0}
                      onClick={() =>
                        !isBusy && index > 0 && move.mutate({ ...at(index), position: index })
                      }
                    >
                      ↑
                    </Button>
                    <Button
                      kind="quiet"
                      isIcon
                      aria-label={`Move prompt ${index + 1} down`}
                      aria-disabled={isBusy || index === waiting.length - 1}
                      onClick={() =>
                        !isBusy &&
                        index < waiting.length - 1 &&
                        move.mutate({ ...at(index), position: index + 2 })
                      }
                    >
                      ↓
                    </Button>
                  </>
                )}
                <Button
                  kind="quiet"
                  aria-label={`Edit prompt ${index + 1}`}
                  title="Take it back into the field below"
                  disabled={isBusy}
                  onClick={() => drop.mutate({ ...at(index), isEdit: true })}
                >
                  Edit
                </Button>
                <Button
                  kind="quiet"
                  isIcon
                  aria-label={`Remove prompt ${index + 1}`}
                  title="Remove it from the queue"
                  disabled={isBusy}
                  onClick={() => drop.mutate({ ...at(index), isEdit: false })}
                >
                  ✕
                </Button>
              </li>
            ))}
          </ol>
        </section>
      )}
    </>
  );
}
