// What every page of one template has: the way back, its head, and what is said where it cannot be shown.
import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { SettingsPage } from "../account/parts";
import { ApiError } from "../api/client";
import type { Template } from "../api/types";
import { Bone, Empty, ErrorBox } from "../design";
import { visible } from "../design/text";
import { templateQuery } from "./queries";
import { DEFAULT, readTemplateSearch, searchOf } from "./search";
import css from "./templates.module.css";

/** The template that the address names. */
export function useTemplate() {
  const { template: name } = useParams({ strict: false }) as { template: string };
  const { organization = DEFAULT } = readTemplateSearch(useSearch({ strict: false }));
  return { name, organization, found: useQuery(templateQuery(organization, name)) };
}

/** The page of a template once it is known; children make it. */
export function OfTemplate({ children }: { children: (template: Template) => ReactNode }) {
  const { name, found } = useTemplate();
  if (found.data) return <>{children(found.data)}</>;
  return (
    <div className={css.page}>
      <Crumbs />
      <SettingsPage title={name}>
        <Absence error={found.error} what="template" onRetry={() => void found.refetch()}>
          <Link to="/templates">All templates</Link>
        </Absence>
      </SettingsPage>
    </div>
  );
}

/** In the place of what is not there, or not yet. */
export function Absence({
  error,
  what,
  onRetry,
  children,
}: {
  error: unknown;
  what: string;
  onRetry: () => void;
  children: ReactNode;
}) {
  if (error instanceof ApiError && error.status === 404) {
    return (
      <Empty title={`There is no such ${what}`}>
        <p>
          It may have another name now, be deleted, or be of an organization that you are not in.
        </p>
        {children}
      </Empty>
    );
  }
  if (error) return <ErrorBox error={error} onRetry={onRetry} />;
  return (
    <div className={css.box} aria-busy="true">
      <Bone width={70} />
      <Bone width={50} />
      <Bone width={60} />
    </div>
  );
}

export function Crumbs({ template }: { template?: Template }) {
  return (
    <nav className={css.crumbs} aria-label="Where this is">
      <Link to="/templates">Templates</Link>
      {template && (
        <>
          <span aria-hidden="true">/</span>
          <Link
            to="/templates/$template"
            params={{ template: template.name }}
            search={searchOf(template)}
          >
            <bdi>{visible(template.display_name || template.name)}</bdi>
          </Link>
        </>
      )}
    </nav>
  );
}
