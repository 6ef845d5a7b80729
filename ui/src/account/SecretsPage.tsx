// Secrets of whoever is signed in: names are shown, values only go in.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useId, useState, type FormEvent } from "react";

import { api } from "../api/client";
import { queryClient } from "../api/queries";
import type { Secret } from "../api/types";
import {
  Button,
  classes,
  Dialog,
  ErrorBox,
  Field,
  fieldClass,
  inputClass,
  labelClass,
} from "../design";
import { tell } from "../design/toast";
import { Confirm, Panel, SettingsPage, unlessFields, When, wrongWith } from "./parts";
import { secretsQuery } from "./queries";
import css from "./settings.module.css";
import { Table, type Column } from "./Table";
import { secretNameProblem } from "./words";

const ONE = "/api/v2/users/{user}/secrets/{secret}";

const setSecret = (name: string, value: string) =>
  api.put(ONE, { path: { user: "me", secret: name }, body: { value } });

const refresh = () => queryClient.invalidateQueries({ queryKey: secretsQuery.queryKey });

export default function SecretsPage() {
  const secrets = useQuery(secretsQuery);
  const [replaced, setReplaced] = useState<Secret | null>(null);
  const [deleted, setDeleted] = useState<Secret | null>(null);
  const remove = useMutation({
    mutationFn: (secret: Secret) => api.delete(ONE, { path: { user: "me", secret: secret.name } }),
    onSuccess: async (_, secret) => {
      setDeleted(null);
      tell(`${secret.name} is deleted.`);
      await refresh();
    },
  });
  const columns: Column<Secret>[] = [
    {
      title: "Name",
      kind: "main",
      cell: (secret) => <code className={css.main}>{secret.name}</code>,
    },
    { title: "Set", kind: "time", cell: (secret) => <When at={secret.updated_at} /> },
    {
      title: "",
      kind: "actions",
      cell: (secret) => (
        <div className={css.rowActions}>
          <Button
            kind="quiet"
            aria-label={`Replace ${secret.name}`}
            onClick={() => setReplaced(secret)}
          >
            Replace
          </Button>
          <Button
            kind="quiet"
            aria-label={`Delete ${secret.name}`}
            onClick={() => {
              remove.reset();
              setDeleted(secret);
            }}
          >
            Delete
          </Button>
        </div>
      ),
    },
  ];
  return (
    <SettingsPage
      title="Secrets"
      lead="Keys that your workspaces need, such as that of a model. A workspace gets those that its template asks for by name, as variables of its environment, when it starts."
    >
      <NewSecret known={secrets.data ?? []} />
      {secrets.error ? (
        <ErrorBox error={secrets.error} onRetry={() => void secrets.refetch()} />
      ) : (
        <Table
          label="Your secrets"
          columns={columns}
          rows={secrets.data}
          rowKey={(secret) => secret.id}
          empty="You have no secrets yet."
        />
      )}
      {replaced && <Replace secret={replaced} onClose={() => setReplaced(null)} />}
      <Confirm
        title={`Delete ${deleted?.name ?? ""}?`}
        verb="Delete secret"
        isOpen={deleted !== null}
        isBusy={remove.isPending}
        error={remove.error}
        onClose={() => setDeleted(null)}
        onConfirm={() => deleted && remove.mutate(deleted)}
      >
        <p>
          Workspaces that run keep it until they stop. Templates that need it do not start without
          it.
        </p>
      </Confirm>
    </SettingsPage>
  );
}

function NewSecret({ known }: { known: readonly Secret[] }) {
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const set = useMutation({
    mutationFn: () => setSecret(name, value),
    onSuccess: async () => {
      tell(`${name} is set.`, "Workspaces get it at their next start.");
      setName("");
      setValue("");
      await refresh();
    },
  });
  const isKnown = known.some((secret) => secret.name === name);
  const problem = secretNameProblem(name);
  const error = unlessFields(set.error);
  return (
    <Panel title="New secret" lead="Nobody can read a value again, administrators included.">
      <form
        className={css.form}
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          if (!problem && !isKnown) set.mutate();
        }}
      >
        <Field
          label="Name"
          value={name}
          required
          autoComplete="off"
          autoCapitalize="characters"
          spellCheck={false}
          placeholder="ANTHROPIC_API_KEY"
          wrong={
            problem ||
            (isKnown ? "You have one of that name. Replace it below." : "") ||
            wrongWith(set.error, "name") ||
            wrongWith(set.error, "secret")
          }
          onChange={(event) => setName(event.target.value)}
        />
        <Value value={value} onChange={setValue} wrong={wrongWith(set.error, "value")} />
        {error !== null && <ErrorBox error={error} />}
        <div className={css.buttons}>
          <Button
            kind="primary"
            type="submit"
            disabled={set.isPending || !name || !value || problem !== "" || isKnown}
          >
            {set.isPending ? "Setting…" : "Set secret"}
          </Button>
        </div>
      </form>
    </Panel>
  );
}

function Replace({ secret, onClose }: { secret: Secret; onClose: () => void }) {
  const [value, setValue] = useState("");
  const set = useMutation({
    mutationFn: () => setSecret(secret.name, value),
    onSuccess: async () => {
      onClose();
      tell(`${secret.name} has a new value.`, "Workspaces get it at their next start.");
      await refresh();
    },
  });
  const error = unlessFields(set.error);
  return (
    <Dialog
      title={`Replace ${secret.name}`}
      isOpen
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" disabled={set.isPending || !value} onClick={() => set.mutate()}>
            {set.isPending ? "Replacing…" : "Replace value"}
          </Button>
        </>
      }
    >
      <p>The old value is gone once you do. Workspaces that run keep it until they stop.</p>
      <Value value={value} onChange={setValue} wrong={wrongWith(set.error, "value")} isFirst />
      {error !== null && <ErrorBox error={error} />}
    </Dialog>
  );
}

/** A value, of one line or of many, as keys in files are; hidden unless somebody wants to see it. */
function Value({
  value,
  onChange,
  wrong,
  isFirst = false,
}: {
  value: string;
  onChange: (value: string) => void;
  wrong: string;
  isFirst?: boolean;
}) {
  const id = useId();
  const [isShown, setShown] = useState(false);
  return (
    <div className={fieldClass}>
      <label className={labelClass} htmlFor={id}>
        Value
      </label>
      <textarea
        id={id}
        className={classes(inputClass, css.secretBox)}
        data-hidden={!isShown}
        rows={2}
        required
        autoFocus={isFirst}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        aria-invalid={Boolean(wrong)}
        aria-describedby={wrong ? `${id}-note` : undefined}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
      {wrong && (
        <p id={`${id}-note`} role="alert" className={css.small}>
          {wrong}
        </p>
      )}
      <label className={css.check}>
        <input
          type="checkbox"
          checked={isShown}
          onChange={(event) => setShown(event.target.checked)}
        />
        Show what is typed
      </label>
    </div>
  );
}
