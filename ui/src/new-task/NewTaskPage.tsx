import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";

import { templatesQuery } from "../api/queries";
import { Bone, Button, ErrorBox, hintClass, inputClass, Kbd } from "../design";
import { useTitle } from "../notices/title";
import { useCreateTask } from "./create";
import css from "./new.module.css";

export default function NewTaskPage() {
  const { template: wanted } = useSearch({ strict: false }) as { template?: string };
  const templates = useQuery(templatesQuery);
  const create = useCreateTask();
  const [chosen, setChosen] = useState(wanted ?? "shell");
  const [input, setInput] = useState("");
  useTitle("New task");
  const template =
    templates.data?.find((one) => one.name === chosen) ?? templates.data?.[0] ?? null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (template && input.trim()) create.mutate({ version: template.active_version_id, input });
  };
  return (
    <div className={css.page}>
      <header className={css.head}>
        <h1>New task</h1>
      </header>
      {templates.error ? (
        <ErrorBox error={templates.error} onRetry={() => void templates.refetch()} />
      ) : !templates.data ? (
        <div className={css.card} aria-busy="true">
          <Bone width={40} />
          <Bone width={90} />
        </div>
      ) : (
        <form className={css.card} onSubmit={submit}>
          <label className={css.label} htmlFor="template">
            Template
          </label>
          <select
            id="template"
            className={inputClass}
            value={template?.name ?? ""}
            onChange={(event) => setChosen(event.target.value)}
          >
            {templates.data.map((one) => (
              <option key={one.id} value={one.name}>
                {one.display_name || one.name}
              </option>
            ))}
          </select>
          {template?.description && <p className={hintClass}>{template.description}</p>}
          <label className={css.label} htmlFor="input">
            Prompt
          </label>
          <textarea
            id="input"
            className={inputClass}
            rows={6}
            autoFocus
            value={input}
            onChange={(event) => setInput(event.target.value)}
            onKeyDown={(event) =>
              event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit(event)
            }
          />
          {create.error && <ErrorBox error={create.error} />}
          <div className={css.actions}>
            <Button kind="primary" type="submit" disabled={create.isPending || !input.trim()}>
              {create.isPending ? "Creating…" : "Create task"}
            </Button>
            <span className={hintClass}>
              <Kbd>Ctrl</Kbd> <Kbd>↵</Kbd>
            </span>
          </div>
        </form>
      )}
    </div>
  );
}
