// What somebody sees who has no task yet: the first one is a click away.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";

import { templatesQuery } from "../api/queries";
import { Bone, Button, buttonClass, ErrorBox, inputClass } from "../design";
import { searchOf } from "../templates/search";
import { useCreateTask } from "./create";
import css from "./new.module.css";

/** Ranks the words of the small tree that the shell template brings along. */
const FIRST = "cat words/*/* | tr -cs '[:alpha:]' '\\n' | sort | uniq -c | sort -rn | head -5";

/** What to do where there is nothing that a task could be made from. */
export function NoTemplate() {
  return (
    <div className={css.card}>
      <p>
        There is no template yet, and a task is made from one. Whoever administers templates uploads
        a folder with a <code>taskyard.toml</code>.
      </p>
      <Link to="/templates" className={buttonClass()}>
        Templates
      </Link>
    </div>
  );
}

export function QuickStart() {
  const templates = useQuery(templatesQuery);
  const create = useCreateTask();
  const [input, setInput] = useState(FIRST);
  const shell = templates.data?.find((template) => template.name === "shell");
  const others = templates.data?.filter((template) => template.name !== "shell") ?? [];
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (shell) create.mutate({ version: shell.active_version_id, input });
  };
  return (
    <div className={css.page}>
      <header className={css.head}>
        <h1>Run your first task</h1>
        <p>
          A task is a coding agent at work in a workspace of its own. This one is a plain shell: it
          needs no model and no key, and shows how everything works.
        </p>
      </header>
      {templates.isPending && (
        <div className={css.card} aria-busy="true">
          <Bone width={60} />
          <Bone width={90} />
        </div>
      )}
      {templates.error && (
        <ErrorBox error={templates.error} onRetry={() => void templates.refetch()} />
      )}
      {shell && (
        <form className={css.card} onSubmit={submit}>
          <label className={css.label} htmlFor="first-input">
            Command
          </label>
          <textarea
            id="first-input"
            className={`${inputClass} ${css.code}`}
            rows={2}
            spellCheck={false}
            value={input}
            onChange={(event) => setInput(event.target.value)}
            onKeyDown={(event) => event.key === "Enter" && event.ctrlKey && submit(event)}
          />
          {create.error && <ErrorBox error={create.error} />}
          <div className={css.actions}>
            <Button kind="primary" type="submit" disabled={create.isPending || !input.trim()}>
              {create.isPending ? "Creating…" : "Run it"}
            </Button>
          </div>
        </form>
      )}
      {templates.data?.length === 0 && <NoTemplate />}
      {others.length > 0 && (
        <section className={css.others} aria-labelledby="others">
          <h2 id="others">Or with a coding agent</h2>
          <ul>
            {others.map((template) => (
              <li key={template.id}>
                <Link to="/tasks/new" search={{ template: template.name, ...searchOf(template) }}>
                  <strong>{template.display_name || template.name}</strong>
                  <span>{template.description}</span>
                </Link>
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}
