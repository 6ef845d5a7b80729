// All templates that somebody may see.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { SettingsPage, When } from "../account/parts";
import settings from "../account/settings.module.css";
import { Table, type Column } from "../account/Table";
import { templatesQuery, versionQuery } from "../api/queries";
import type { Template } from "../api/types";
import { Badge, Bone, buttonClass, Empty, ErrorBox } from "../design";
import { TemplateIcon } from "../design/TemplateIcon";
import { oneLine, visible } from "../design/text";
import { DEFAULT, searchOf } from "./search";
import { useMayWrite } from "./rights";
import css from "./templates.module.css";

const COLUMNS: Column<Template>[] = [
  { title: "Template", kind: "main", cell: (template) => <Name template={template} /> },
  { title: "Active version", cell: (template) => <ActiveVersion template={template} /> },
  { title: "Changed", kind: "time", cell: (template) => <When at={template.updated_at} /> },
  {
    title: "",
    kind: "actions",
    cell: (template) =>
      !template.deprecated && (
        <div className={settings.rowActions}>
          <Link
            to="/tasks/new"
            search={{ template: template.name, ...searchOf(template) }}
            className={buttonClass()}
            aria-label={`New task of ${visible(template.name)}`}
          >
            New task
          </Link>
        </div>
      ),
  },
];

export default function TemplatesPage() {
  const templates = useQuery(templatesQuery);
  const mayWrite = useMayWrite(null);
  return (
    <div className={css.page}>
      <SettingsPage
        title="Templates"
        lead="What tasks are made from: a workspace, a coding agent, and what it may reach."
        actions={
          mayWrite && (
            <Link to="/templates/new" className={buttonClass("primary")}>
              Upload a template
            </Link>
          )
        }
      >
        {templates.error ? (
          <ErrorBox error={templates.error} onRetry={() => void templates.refetch()} />
        ) : templates.data?.length === 0 ? (
          <Empty title="No template yet">
            <p>
              {mayWrite
                ? "Upload a folder with a taskyard.toml, and tasks can be made of it."
                : "Tasks are made from one. Ask an owner or a template admin of this server to upload it."}
            </p>
          </Empty>
        ) : (
          <Table
            label="Templates"
            columns={COLUMNS}
            rows={templates.data}
            rowKey={(template) => template.id}
            empty=""
          />
        )}
      </SettingsPage>
    </div>
  );
}

function Name({ template }: { template: Template }) {
  const name = template.display_name || template.name;
  return (
    <div className={css.name}>
      <TemplateIcon icon={template.icon} name={name} />
      <span>
        <span className={css.title}>
          <Link
            to="/templates/$template"
            params={{ template: template.name }}
            search={searchOf(template)}
          >
            <bdi>{visible(name)}</bdi>
          </Link>
          {template.deprecated && <Badge tone="paused">Deprecated</Badge>}
          {template.organization_name !== DEFAULT && (
            <bdi className={settings.tag}>
              {visible(template.organization_display_name || template.organization_name)}
            </bdi>
          )}
        </span>
        <bdi className={css.says}>
          {oneLine(template.deprecated ? template.deprecation_message : template.description)}
        </bdi>
      </span>
    </div>
  );
}

function ActiveVersion({ template }: { template: Template }) {
  const { data: version } = useQuery(versionQuery(template.active_version_id));
  if (!version) return <Bone width={60} />;
  return <bdi className={settings.mono}>{visible(version.name)}</bdi>;
}
