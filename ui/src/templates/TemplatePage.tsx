// One template: what it is, what it asks, and its versions.
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";

import { Confirm, Panel, SettingsPage, When } from "../account/parts";
import settings from "../account/settings.module.css";
import { Table, type Column } from "../account/Table";
import { api } from "../api/client";
import { versionQuery } from "../api/queries";
import type { Template, TemplateVersion } from "../api/types";
import { Badge, Bone, Button, buttonClass, ErrorBox } from "../design";
import { Menu, MenuItem } from "../design/Menu";
import { oneLine, visible } from "../design/text";
import { tell } from "../design/toast";
import { Asks } from "./Asks";
import { Crumbs, OfTemplate } from "./Page";
import { refreshTemplates, versionsQuery } from "./queries";
import { searchOf } from "./search";
import { useMayWrite } from "./rights";
import css from "./templates.module.css";
import { VersionActions } from "./VersionActions";
import { standingOf } from "./words";

const Markdown = lazy(() => import("../task/markdown"));

/** Versions that are shown at first. */
const FEW = 20;

export default function TemplatePage() {
  return <OfTemplate>{(template) => <One key={template.id} template={template} />}</OfTemplate>;
}

function One({ template }: { template: Template }) {
  const active = useQuery(versionQuery(template.active_version_id));
  const mayWrite = useMayWrite(template.organization_id);
  return (
    <div className={css.page}>
      <Crumbs />
      <SettingsPage
        title={template.display_name || template.name}
        lead={<bdi>{visible(template.description)}</bdi>}
        actions={<Actions template={template} mayWrite={mayWrite} />}
      >
        {template.deprecated && (
          <p className={css.amber}>
            Deprecated: <bdi>{visible(template.deprecation_message)}</bdi>
          </p>
        )}
        <Versions template={template} mayWrite={mayWrite} />
        {active.error ? (
          <ErrorBox error={active.error} onRetry={() => void active.refetch()} />
        ) : active.data ? (
          <>
            <Asks version={active.data} />
            {active.data.readme && (
              <section className={css.readme} aria-label="Readme">
                <Suspense fallback={<Bone width={80} />}>
                  <Markdown text={active.data.readme} />
                </Suspense>
              </section>
            )}
          </>
        ) : (
          <Bone width={70} />
        )}
      </SettingsPage>
    </div>
  );
}

function Actions({ template, mayWrite }: { template: Template; mayWrite: boolean }) {
  const navigate = useNavigate();
  const [isDeleting, setDeleting] = useState(false);
  const { name } = template;
  const search = searchOf(template);
  const remove = useMutation({
    mutationFn: () =>
      api.delete("/api/v2/templates/{template}", { path: { template: template.id } }),
    onSuccess: async () => {
      tell(`${visible(name)} is deleted.`);
      await navigate({ to: "/templates" });
      await refreshTemplates();
    },
  });
  return (
    <>
      {!template.deprecated && (
        <Link
          to="/tasks/new"
          search={{ template: name, ...search }}
          className={buttonClass("primary")}
        >
          New task
        </Link>
      )}
      {mayWrite && (
        <>
          <Link
            to="/templates/new"
            search={{ template: name, ...search }}
            className={buttonClass()}
          >
            Upload a new version
          </Link>
          <Menu
            trigger={
              <Button isIcon aria-label="More">
                …
              </Button>
            }
          >
            <MenuItem
              onSelect={() =>
                void navigate({
                  to: "/templates/$template/settings",
                  params: { template: name },
                  search,
                })
              }
            >
              Settings
            </MenuItem>
            <MenuItem isDanger onSelect={() => setDeleting(true)}>
              Delete…
            </MenuItem>
          </Menu>
        </>
      )}
      <Confirm
        title={`Delete ${visible(name)}?`}
        verb="Delete template"
        typed={name}
        isOpen={isDeleting}
        isBusy={remove.isPending}
        error={remove.error}
        onClose={() => {
          remove.reset();
          setDeleting(false);
        }}
        onConfirm={() => remove.mutate()}
      >
        <p>
          Its versions and its secrets are gone for good. It is refused while there are tasks or
          workspaces of it.
        </p>
      </Confirm>
    </>
  );
}

function Versions({ template, mayWrite }: { template: Template; mayWrite: boolean }) {
  const versions = useQuery(versionsQuery(template.id));
  const [isWhole, setWhole] = useState(false);
  const all = versions.data;
  const columns: Column<TemplateVersion>[] = [
    {
      title: "Version",
      kind: "main",
      cell: (version) => (
        <>
          <span className={css.title}>
            <Link
              to="/templates/$template/versions/$version"
              params={{ template: template.name, version: version.name }}
              search={searchOf(template)}
            >
              <bdi className={settings.main}>{visible(version.name)}</bdi>
            </Link>
            {version.id === template.active_version_id && (
              <span className={settings.tag}>active</span>
            )}
          </span>
          <bdi className={settings.sub}>{oneLine(version.message)}</bdi>
        </>
      ),
    },
    { title: "By", cell: (version) => <bdi>{visible(version.created_by.username)}</bdi> },
    { title: "Made", kind: "time", cell: (version) => <When at={version.created_at} /> },
    {
      title: "Import",
      cell: (version) => {
        const [tone, word] = standingOf(version);
        return <Badge tone={tone}>{word}</Badge>;
      },
    },
  ];
  if (mayWrite) {
    columns.push({
      title: "",
      kind: "actions",
      cell: (version) => <VersionActions template={template} version={version} />,
    });
  }
  return (
    <Panel title="Versions">
      {versions.error ? (
        <ErrorBox error={versions.error} onRetry={() => void versions.refetch()} />
      ) : (
        <Table
          label="Versions"
          columns={columns}
          rows={isWhole ? all : all?.slice(0, FEW)}
          rowKey={(version) => version.id}
          empty=""
        />
      )}
      {!isWhole && all && all.length > FEW && (
        <div>
          <Button onClick={() => setWhole(true)}>Show all {all.length} versions</Button>
        </div>
      )}
    </Panel>
  );
}
