// A new task: of which template, with which answers, and what it is to do.
import { useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState, type FormEvent } from "react";

import { Choice, unlessFields, wrongWith } from "../account/parts";
import { meQuery, parametersQuery, presetsQuery, templatesQuery } from "../api/queries";
import type { Preset, Template, User } from "../api/types";
import { Bone, Button, ErrorBox, Field, hintClass, Kbd } from "../design";
import { visible } from "../design/text";
import { useTitle } from "../notices/title";
import { useMyRoles } from "../session/may";
import { DEFAULT } from "../templates/search";
import { useCreateTask, type Wish } from "./create";
import { Details } from "./Details";
import { EMPTY, isBegun, keepDraft, readDraft, type Draft } from "./draft";
import { Needs } from "./Needs";
import css from "./new.module.css";
import { problemsOf, startingValues, valuesToSend, type Values } from "./values";
import { Parameters } from "./Parameters";
import { Prompt } from "./Prompt";
import { NoTemplate } from "./QuickStart";
import type { NewTaskSearch } from "./search";
import { TemplateCards } from "./TemplateCards";

export default function NewTaskPage() {
  const { data: me } = useSuspenseQuery(meQuery);
  const templates = useQuery(templatesQuery);
  const search: NewTaskSearch = useSearch({ strict: false });
  useTitle("New task");
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
      ) : templates.data.length === 0 ? (
        <NoTemplate />
      ) : (
        // A link to this page with other wishes is a form of its own.
        <NewTask key={JSON.stringify(search)} me={me} templates={templates.data} search={search} />
      )}
    </div>
  );
}

function NewTask({
  me,
  templates,
  search,
}: {
  me: User;
  templates: readonly Template[];
  search: NewTaskSearch;
}) {
  const [kept] = useState(() => readDraft(me.id));
  const [draft, setDraft] = useState<Draft>(() => begun(kept, search, templates));
  const [isRestored, setRestored] = useState(kept !== null && isBegun(kept) && !search.prompt);
  useEffect(() => keepDraft(me.id, draft), [me.id, draft]);
  const change = (some: Partial<Draft>) => setDraft((before) => ({ ...before, ...some }));

  const template = chosenOf(templates, draft.template);
  const version = template?.active_version_id ?? "";
  const parameters = useQuery({ ...parametersQuery(version), enabled: version !== "" });
  const presets = useQuery({ ...presetsQuery(version), enabled: version !== "" });
  const preset = presetOf(presets.data ?? [], draft.preset);
  const starting = startingValues(parameters.data ?? [], preset);
  const values: Values = { ...starting, ...draft.edits };

  const form = useRef<HTMLFormElement>(null);
  const [seen, setSeen] = useState<ReadonlySet<string>>(new Set());
  const [attempts, setAttempts] = useState(0);
  const create = useCreateTask(() => keepDraft(me.id, { ...EMPTY, template: draft.template }));
  const problems = problemsOf(parameters.data ?? [], values);
  const told = (name: string) =>
    (attempts > 0 || seen.has(name) ? problems[name] : "") || wrongWith(create.error, name);
  const shown = Object.fromEntries((parameters.data ?? []).map(({ name }) => [name, told(name)]));

  // What was refused is shown where it is wrong, and the first such place is gone to.
  useEffect(() => {
    if (attempts > 0 || create.error) {
      const wrong = form.current?.querySelector<HTMLElement>(
        '[aria-invalid="true"], [data-wrong] :is(input, button)',
      );
      wrong?.focus();
    }
  }, [attempts, create.error]);

  const isReady = template !== null && parameters.data !== undefined && presets.data !== undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!isReady || create.isPending || !draft.input.trim()) return;
    if (Object.keys(problems).length > 0) {
      setAttempts(attempts + 1);
      return;
    }
    const wish: Wish = {
      version,
      input: draft.input,
      values: valuesToSend(parameters.data, starting, values),
      title: draft.title.trim(),
      owner: draft.owner.trim(),
      ...(preset && { preset: preset.ID }),
    };
    create.mutate(wish);
  };
  const choose = (chosen: Template) => {
    change({ template: chosen.id, preset: null, edits: {} });
    setSeen(new Set());
    setAttempts(0);
    create.reset();
  };
  const refused = unlessFields(create.error);
  return (
    <form
      ref={form}
      className={css.form}
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
      }}
    >
      {search.template && !namedIn(templates, search) && (
        <p className={css.needs} role="status">
          There is no template <code>{visible(search.template)}</code> that tasks can be made of:
          choose another one.
        </p>
      )}
      {isRestored && (
        <p className={css.restored} role="status">
          What you had begun is here again.
          <Button
            kind="quiet"
            onClick={() => {
              setDraft({ ...EMPTY, template: draft.template });
              setRestored(false);
            }}
          >
            Start over
          </Button>
        </p>
      )}
      <TemplateCards templates={templates} chosen={template} onChoose={choose} />
      <Prompt value={draft.input} onChange={(input) => change({ input })} />
      {template && <Needs version={version} />}
      {(parameters.error ?? presets.error) ? (
        <ErrorBox
          error={parameters.error ?? presets.error}
          onRetry={() => {
            void parameters.refetch();
            void presets.refetch();
          }}
        />
      ) : (
        parameters.data &&
        presets.data &&
        (parameters.data.length > 0 || presets.data.length > 1) && (
          <section className={css.card} aria-label="What the template asks">
            <Presets
              presets={presets.data}
              preset={preset}
              changed={changedIn(preset, draft.edits, starting)}
              onChoose={(name) => change({ preset: name, edits: {} })}
              onBack={() => change({ edits: without(draft.edits, preset) })}
            />
            <Parameters
              parameters={parameters.data}
              values={values}
              problems={shown}
              onChange={(name, value) => change({ edits: { ...draft.edits, [name]: value } })}
              onLeave={(name) => setSeen((before) => new Set([...before, name]))}
            />
          </section>
        )
      )}
      <More draft={draft} error={create.error} onChange={change} />
      {refused !== null && <ErrorBox error={refused} />}
      <div className={css.actions}>
        <Button
          kind="primary"
          type="submit"
          disabled={create.isPending || !isReady || !draft.input.trim()}
        >
          {create.isPending ? "Creating…" : "Create task"}
        </Button>
        <span className={hintClass}>
          <Kbd>Ctrl</Kbd> <Kbd>↵</Kbd>
        </span>
      </div>
    </form>
  );
}

function Presets({
  presets,
  preset,
  changed,
  onChoose,
  onBack,
}: {
  presets: readonly Preset[];
  preset: Preset | null;
  changed: readonly string[];
  onChoose: (name: string) => void;
  onBack: () => void;
}) {
  if (presets.length === 0) return null;
  return (
    <div className={css.preset}>
      <Choice
        label="Preset"
        value={preset?.Name ?? ""}
        options={[
          ...presets.map(({ Name }) => [Name, visible(Name)] as const),
          ["", "None: the template's defaults"],
        ]}
        onChange={onChoose}
      />
      {preset?.Description && (
        <p className={hintClass}>
          <bdi>{visible(preset.Description)}</bdi>
        </p>
      )}
      {changed.length > 0 && (
        <p className={css.changed} role="status">
          <span>
            Changed by hand: <bdi>{visible(changed.join(", "))}</bdi>.
          </span>
          <Button kind="quiet" onClick={onBack}>
            Back to the preset
          </Button>
        </p>
      )}
    </div>
  );
}

/** What most people leave as it is. */
function More({
  draft,
  error,
  onChange,
}: {
  draft: Draft;
  error: unknown;
  onChange: (some: Partial<Draft>) => void;
}) {
  const { roles } = useMyRoles();
  const mayForOthers = roles.has("owner") || roles.has("organization-admin");
  return (
    <Details
      summary={mayForOthers ? "Title, and for whom" : "Title"}
      isNeeded={draft.title !== "" || draft.owner !== ""}
    >
      <Field
        label="Title"
        name="title"
        autoComplete="off"
        maxLength={64}
        hint="How it is called in lists. Empty: the beginning of the prompt."
        wrong={wrongWith(error, "display_name")}
        value={draft.title}
        onChange={(event) => onChange({ title: event.target.value })}
      />
      {mayForOthers && (
        <Field
          label="For"
          name="owner"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          hint="Name of the user whose task it is to be. Empty: yourself."
          value={draft.owner}
          onChange={(event) => onChange({ owner: event.target.value })}
        />
      )}
    </Details>
  );
}

/** What the form begins with: what was kept, and what the address asks for instead. */
function begun(kept: Draft | null, search: NewTaskSearch, templates: readonly Template[]): Draft {
  const draft = kept ?? EMPTY;
  const wanted = namedIn(templates, search)?.id;
  return {
    ...draft,
    // Answers to the questions of another template are none to those of this one.
    ...(wanted !== undefined &&
      wanted !== draft.template && { template: wanted, preset: null, edits: {} }),
    ...(search.preset !== undefined && { preset: search.preset, edits: {} }),
    ...(search.prompt && { input: search.prompt }),
  };
}

/** The template that the address names: of the organization that it names, else of the default one, else of any. */
function namedIn(
  templates: readonly Template[],
  { template: name, organization = DEFAULT }: NewTaskSearch,
): Template | undefined {
  const named = templates.filter((template) => template.name === name && !template.deprecated);
  return named.find((template) => template.organization_name === organization) ?? named[0];
}

function chosenOf(templates: readonly Template[], id: string): Template | null {
  const usable = templates.filter((template) => !template.deprecated);
  return (
    usable.find((template) => template.id === id) ??
    // It needs neither model nor key.
    usable.find((template) => template.name === "shell") ??
    usable[0] ??
    null
  );
}

/** name: null while nobody chose, which is the template's own choice. */
function presetOf(presets: readonly Preset[], name: string | null): Preset | null {
  const isIt = (preset: Preset) => (name === null ? preset.Default : preset.Name === name);
  return presets.find(isIt) ?? null;
}

/** Parameters of the preset that hold something else now. */
function changedIn(preset: Preset | null, edits: Values, starting: Values): string[] {
  const names = preset?.Parameters.map(({ Name }) => Name) ?? [];
  return names.filter((name) => name in edits && edits[name] !== starting[name]);
}

function without(edits: Values, preset: Preset | null): Values {
  const names = new Set(preset?.Parameters.map(({ Name }) => Name));
  return Object.fromEntries(Object.entries(edits).filter(([name]) => !names.has(name)));
}
