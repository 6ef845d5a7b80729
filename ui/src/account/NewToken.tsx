// Makes a token, and shows it: once, as nothing but its hash is kept.
import { useMutation, useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, type FormEvent } from "react";

import { api, newKey } from "../api/client";
import { buildInfoQuery, queryClient } from "../api/queries";
import { Button, ErrorBox, Field } from "../design";
import { visible } from "../design/text";
import { Choice, CopyBox, Panel, unlessFields, wrongWith } from "./parts";
import { tokenConfigQuery, tokensKey } from "./queries";
import css from "./settings.module.css";
import { daysOf, daysProblem, daysWord, lifetimeOf, offeredDays } from "./words";

/** Days that a token lives unless somebody chooses. */
const USUAL_DAYS = "30";

const OTHER = "other";

interface Made {
  name: string;
  key: string;
}

export function NewToken({ user }: { user: string }) {
  const config = useQuery(tokenConfigQuery);
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState(USUAL_DAYS);
  const [typed, setTyped] = useState("");
  const [made, setMade] = useState<Made | null>(null);
  const most = config.data ? daysOf(config.data.max_token_lifetime) : Infinity;
  const isOther = chosen === OTHER;
  const days = isOther ? typed : chosen;
  const wrongDays = isOther && typed ? daysProblem(typed, most) : "";
  const create = useMutation({
    mutationFn: () =>
      api.post("/api/v2/users/{user}/keys/tokens", {
        path: { user },
        body: { token_name: name.trim(), lifetime: lifetimeOf(Number(days)) },
        idempotencyKey: newKey(),
      }),
    onSuccess: async ({ key }) => {
      setMade({ name: name.trim(), key });
      setName("");
      await queryClient.invalidateQueries({ queryKey: tokensKey });
    },
  });
  if (made) return <Shown made={made} onDone={() => setMade(null)} />;
  const error = unlessFields(create.error);
  return (
    <Panel
      title="New token"
      lead="A program that has it may do all that its user may, until it expires. Name it by who will use it."
    >
      <form
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          if (name.trim() && !daysProblem(days, most)) create.mutate();
        }}
        className={css.row}
      >
        <Field
          label="Name"
          value={name}
          required
          maxLength={64}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          placeholder="ci"
          wrong={wrongWith(create.error, "token_name")}
          onChange={(event) => setName(event.target.value)}
        />
        <Choice
          label="Expires in"
          value={chosen}
          options={[
            ...offeredDays(most).map((one) => [String(one), daysWord(one)] as const),
            [OTHER, "Other…"],
          ]}
          onChange={setChosen}
        />
        {isOther && (
          <Field
            label="Days"
            inputMode="numeric"
            value={typed}
            required
            autoFocus
            wrong={wrongDays || wrongWith(create.error, "lifetime")}
            onChange={(event) => setTyped(event.target.value)}
          />
        )}
        <Button
          kind="primary"
          type="submit"
          disabled={create.isPending || !name.trim() || daysProblem(days, most) !== ""}
        >
          {create.isPending ? "Making…" : "Make token"}
        </Button>
      </form>
      {error !== null && <ErrorBox error={error} />}
    </Panel>
  );
}

function Shown({ made, onDone }: { made: Made; onDone: () => void }) {
  const { data: info } = useSuspenseQuery(buildInfoQuery);
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus(), []);
  const url = info.external_url || location.origin;
  return (
    <section className={css.good} aria-labelledby="new-token">
      <h2 id="new-token" ref={title} tabIndex={-1}>
        The token <bdi>{visible(made.name)}</bdi> is made
      </h2>
      <p>Copy it now: it is shown this once, and nobody can read it again.</p>
      <CopyBox label="The token" text={made.key} />
      <p>For the command line and other clients:</p>
      <CopyBox
        label="How to use it"
        text={`export CODER_URL=${url}\nexport CODER_SESSION_TOKEN=${made.key}`}
      />
      <div className={css.buttons}>
        <Button onClick={onDone}>I have copied it</Button>
      </div>
    </section>
  );
}
