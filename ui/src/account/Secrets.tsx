// Secrets of somebody, or of a template: names are shown, values only go in.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useId, useState, type FormEvent } from "react";

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
import { Confirm, Panel, unlessFields, When, wrongWith } from "./parts";
import type { secretsOf } from "./queries";
import css from "./settings.module.css";
import { Table, type Column } from "./Table";
import { secretNameProblem } from "./words";

/** Whose secrets they are: where they are kept and changed, and how they are called. */
export interface SecretStore {
  query: ReturnType<typeof secretsOf>;
  set: (name: string, value: string) => Promise<unknown>;
  remove: (name: string) => Promise<unknown>;
  /** "Your secrets". */
  label: string;
  /** Where there are none yet. */
  empty: string;
}

export function Secrets({ store }: { store: SecretStore }) {
  const secrets = useQuery(store.query);
  const refresh = () => queryClient.invalidateQueries({ queryKey: store.query.queryKey });
  const [replaced, setReplaced] = useState<Secret | null>(null);
  const [deleted, setDeleted] = useState<Secret | null>(null);
  const remove = useMutation({
    mutationFn: (secret: Secret) => store.remove(secret.name),
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
    <>
      <NewSecret known={secrets.data ?? []} set={store.set} onSet={refresh} />
      {secrets.error ? (
        <ErrorBox error={secrets.error} onRetry={() => void secrets.refetch()} />
      ) : (
        <Table
          label={store.label}
          columns={columns}
          rows={secrets.data}
          rowKey={(secret) => secret.id}
          empty={store.empty}
        />
      )}
      {replaced && (
        <Replace
          secret={replaced}
          set={store.set}
          onSet={refresh}
          onClose={() => setReplaced(null)}
        />
      )}
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
    </>
  );
}

interface Setting {
  set: SecretStore["set"];
  onSet: () => Promise<void>;
}

function NewSecret({ known, set: send, onSet }: { known: readonly Secret[] } & Setting) {
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const set = useMutation({
    mutationFn: () => send(name, value),
    onSuccess: async () => {
      tell(`${name} is set.`, "Workspaces get it at their next start.");
      setName("");
      setValue("");
      await onSet();
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
            (isKnown ? "There is one of that name. Replace it below." : "") ||
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

function Replace({
  secret,
  set: send,
  onSet,
  onClose,
}: { secret: Secret; onClose: () => void } & Setting) {
  const [value, setValue] = useState("");
  const set = useMutation({
    mutationFn: () => send(secret.name, value),
    onSuccess: async () => {
      onClose();
      tell(`${secret.name} has a new value.`, "Workspaces get it at their next start.");
      await onSet();
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
