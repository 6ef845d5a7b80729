// One version of a template: how its import went, and what it asks.
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";

import { SettingsPage, When } from "../account/parts";
import settings from "../account/settings.module.css";
import type { Template } from "../api/types";
import { Badge, buttonClass } from "../design";
import { visible } from "../design/text";
import { Asks } from "./Asks";
import { ImportLog } from "./ImportLog";
import { Absence, Crumbs, OfTemplate } from "./Page";
import { namedVersionQuery, sourceAddress } from "./queries";
import { searchOf } from "./search";
import { useMayWrite } from "./rights";
import css from "./templates.module.css";
import { VersionActions } from "./VersionActions";
import { standingOf } from "./words";

export default function VersionPage() {
  return <OfTemplate>{(template) => <Version template={template} />}</OfTemplate>;
}

function Version({ template }: { template: Template }) {
  const { version: name } = useParams({ strict: false }) as { version: string };
  const found = useQuery(namedVersionQuery(template.organization_name, template.name, name));
  const mayWrite = useMayWrite(template.organization_id);
  const version = found.data;
  if (!version) {
    return (
      <div className={css.page}>
        <Crumbs template={template} />
        <SettingsPage title={name}>
          <Absence error={found.error} what="version" onRetry={() => void found.refetch()}>
            <Link
              to="/templates/$template"
              params={{ template: template.name }}
              search={searchOf(template)}
            >
              All versions
            </Link>
          </Absence>
        </SettingsPage>
      </div>
    );
  }
  const [tone, word] = standingOf(version);
  return (
    <div className={css.page}>
      <Crumbs template={template} />
      <SettingsPage
        title={version.name}
        lead={<bdi>{visible(version.message)}</bdi>}
        actions={
          mayWrite && (
            <>
              <a
                href={sourceAddress(version.job.file_id)}
                download={`${template.name}-${version.name}.tar`}
                className={buttonClass()}
              >
                Download
              </a>
              <VersionActions template={template} version={version} />
            </>
          )
        }
      >
        <p className={css.title}>
          <Badge tone={tone}>{word}</Badge>
          {version.id === template.active_version_id && (
            <span className={settings.tag}>active</span>
          )}
          <span className={css.lead}>
            <When at={version.created_at} /> by <bdi>{visible(version.created_by.username)}</bdi>
          </span>
        </p>
        {(version.warnings ?? []).map((warning) => (
          <p key={warning} className={css.amber}>
            <bdi>{visible(warning)}</bdi>
          </p>
        ))}
        <ImportLog version={version} />
        {version.job.status === "succeeded" && <Asks version={version} />}
      </SettingsPage>
    </div>
  );
}
