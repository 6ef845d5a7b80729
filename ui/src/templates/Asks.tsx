// What a version asks whoever makes a task of it: parameters, presets, secrets.
import { useQuery } from "@tanstack/react-query";

import { Panel } from "../account/parts";
import settings from "../account/settings.module.css";
import { Table, type Column } from "../account/Table";
import { parametersQuery, presetsQuery } from "../api/queries";
import type { Parameter, Preset, TemplateVersion } from "../api/types";
import { ErrorBox } from "../design";
import { oneLine, visible } from "../design/text";
import css from "./templates.module.css";

const PARAMETERS: Column<Parameter>[] = [
  {
    title: "Parameter",
    kind: "main",
    cell: (one) => (
      <>
        <bdi className={settings.main}>{visible(one.display_name || one.name)}</bdi>
        <bdi className={settings.sub}>{oneLine(one.description_plaintext)}</bdi>
      </>
    ),
  },
  { title: "Type", cell: (one) => one.type },
  {
    title: "Default",
    cell: (one) =>
      one.required ? (
        "none, must be given"
      ) : (
        <bdi className={settings.mono}>{oneLine(one.default_value) || "empty"}</bdi>
      ),
  },
  {
    title: "Options",
    cell: ({ options }) => (
      <bdi>{options.length ? oneLine(options.map(({ name }) => name).join(", ")) : "any"}</bdi>
    ),
  },
];

const PRESETS: Column<Preset>[] = [
  {
    title: "Preset",
    kind: "main",
    cell: (one) => (
      <>
        <span className={css.title}>
          <bdi className={settings.main}>{visible(one.Name)}</bdi>
          {one.Default && <span className={settings.tag}>default</span>}
        </span>
        <bdi className={settings.sub}>{oneLine(one.Description)}</bdi>
      </>
    ),
  },
  {
    title: "Answers",
    cell: ({ Parameters }) => (
      <bdi className={settings.mono}>
        {oneLine(Parameters.map(({ Name, Value }) => `${Name}=${Value}`).join(", ")) || "nothing"}
      </bdi>
    ),
  },
];

export function Asks({ version }: { version: TemplateVersion }) {
  const parameters = useQuery(parametersQuery(version.id));
  const presets = useQuery(presetsQuery(version.id));
  const error = parameters.error ?? presets.error;
  if (error) {
    return (
      <ErrorBox
        error={error}
        onRetry={() => void Promise.all([parameters.refetch(), presets.refetch()])}
      />
    );
  }
  const needed = version.requires_env ?? [];
  return (
    <Panel
      title="What it asks"
      lead="Whoever makes a task of it answers this, or takes what stands here."
    >
      <Table
        label="Parameters"
        columns={PARAMETERS}
        rows={parameters.data}
        rowKey={(one) => one.name}
        empty="Nothing but the prompt."
      />
      {presets.data && presets.data.length > 0 && (
        <Table
          label="Presets"
          columns={PRESETS}
          rows={presets.data}
          rowKey={(one) => one.ID}
          empty=""
        />
      )}
      {needed.length > 0 && (
        <p className={css.lead}>
          It needs these secrets, of the template or of who makes the task:{" "}
          <code className={settings.mono}>{visible(needed.map(needWord).join(", "))}</code>
        </p>
      )}
    </Panel>
  );
}

/** "A|B" is either, "A|" is wanted but not needed. */
function needWord(entry: string): string {
  const words = entry.split("|").filter(Boolean).join(" or ");
  return entry.split("|").includes("") ? `${words} (if there is one)` : words;
}
