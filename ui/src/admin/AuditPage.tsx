// Who did what to which thing: searched, newest first, each with what it changed.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import { Choice, SettingsPage, When } from "../account/parts";
import settings from "../account/settings.module.css";
import { addressOf } from "../api/client";
import type { AuditLog } from "../api/types";
import { Bone, Button, buttonClass, classes, Empty, ErrorBox, Field } from "../design";
import { Plain } from "../design/Plain";
import { visible } from "../design/text";
import {
  ACTIONS,
  auditQ,
  deedWords,
  namesThing,
  readAuditSearch,
  RESOURCES,
  valueText,
  type AuditSearch,
} from "./audit";
import css from "./audit.module.css";
import { auditQuery } from "./queries";

/** Milliseconds after the last key before the server is asked. */
const TYPING_MS = 350;

/** How far the server counts. */
const COUNTED = 10_000;

export default function AuditPage() {
  const search = readAuditSearch(useSearch({ strict: false }));
  const navigate = useNavigate();
  const log = useInfiniteQuery(auditQuery(search));
  const go = (changed: Partial<Record<keyof AuditSearch, string>>) =>
    void navigate({
      to: "/admin/audit",
      search: readAuditSearch({ ...search, ...changed }) as never,
      replace: true,
    });
  const deeds = log.data?.pages.flatMap((page) => page.audit_logs);
  const count = log.data?.pages[0]?.count ?? 0;
  return (
    <SettingsPage
      title="Audit"
      lead="Whatever was changed, sent, answered or signed in to, newest first. Nothing in it can be changed."
      actions={
        <>
          <Button disabled={log.isFetching} onClick={() => void log.refetch()}>
            Refresh
          </Button>
          <a
            className={buttonClass()}
            href={addressOf("/api/v2/audit/export", {}, { q: auditQ(search) })}
            download="audit.jsonl"
            title="All that matches, a line of JSON for each deed"
          >
            Export
          </a>
        </>
      }
    >
      <Filters search={search} onChange={go} />
      {log.error && !log.isFetchNextPageError ? (
        <ErrorBox error={log.error} onRetry={() => void log.refetch()} />
      ) : !deeds ? (
        <Waiting />
      ) : deeds.length === 0 ? (
        <Empty title="Nothing matches">
          <Button onClick={() => void navigate({ to: "/admin/audit", search: {} })}>
            Show everything
          </Button>
        </Empty>
      ) : (
        <>
          <ol className={css.log} aria-label="Audit" aria-busy={log.isFetching}>
            {deeds.map((deed) => (
              <li key={deed.id}>
                <Deed deed={deed} />
              </li>
            ))}
          </ol>
          {log.isFetchNextPageError && <ErrorBox error={log.error} />}
          <div className={settings.pager}>
            <span aria-live="polite">
              {deeds.length.toLocaleString()} of {count.toLocaleString()}
              {count >= COUNTED && "+"}
            </span>
            {log.hasNextPage && (
              <Button disabled={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>
                {log.isFetchingNextPage ? "Reading…" : "Show older"}
              </Button>
            )}
          </div>
        </>
      )}
    </SettingsPage>
  );
}

function Filters({
  search,
  onChange,
}: {
  search: AuditSearch;
  onChange: (changed: Partial<Record<keyof AuditSearch, string>>) => void;
}) {
  return (
    <div className={settings.filters} role="search" aria-label="Audit">
      <div className={settings.first}>
        <Typed label="Who" value={search.user ?? ""} onChange={(user) => onChange({ user })} />
      </div>
      <Choice
        label="Did"
        value={search.action ?? ""}
        options={[["", "Anything"], ...Object.entries(ACTIONS)]}
        onChange={(action) => onChange({ action })}
      />
      <Choice
        label="To"
        value={search.type ?? ""}
        options={[["", "Anything"], ...Object.entries(RESOURCES)]}
        onChange={(type) => onChange({ type })}
      />
      <Typed label="Named" value={search.name ?? ""} onChange={(name) => onChange({ name })} />
      <Choice
        label="Result"
        value={search.result ?? ""}
        options={[
          ["", "Any"],
          ["done", "Done"],
          ["refused", "Refused"],
        ]}
        onChange={(result) => onChange({ result })}
      />
      <Field
        label="From (UTC)"
        type="date"
        value={search.from ?? ""}
        onChange={(event) => onChange({ from: event.target.value })}
      />
      <Field
        label="Until (UTC)"
        type="date"
        value={search.to ?? ""}
        onChange={(event) => onChange({ to: event.target.value })}
      />
    </div>
  );
}

/** What is typed is shown at once, and asked for when the typing stops. */
function Typed({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string;
  onChange: (text: string) => void;
}) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onChange(text), TYPING_MS);
    return () => clearTimeout(timer);
  });
  return (
    <Field
      label={label}
      value={text}
      autoComplete="off"
      autoCapitalize="none"
      spellCheck={false}
      onChange={(event) => setText(event.target.value)}
    />
  );
}

function Deed({ deed }: { deed: AuditLog }) {
  const who = deed.username ? visible(deed.username) : "The server";
  return (
    <details className={classes(css.deed, !deed.succeeded && css.refused)}>
      <summary>
        <span className={css.at}>
          <When at={deed.at} />
        </span>
        <span className={css.says}>
          <b>
            <bdi>{who}</bdi>
          </b>{" "}
          <span>{deedWords(deed)}</span>{" "}
          {namesThing(deed) && <bdi>{visible(deed.resource_name || deed.resource_id)}</bdi>}
        </span>
        <span className={css.from}>{deed.ip ?? ""}</span>
      </summary>
      <Facts deed={deed} />
    </details>
  );
}

function Facts({ deed }: { deed: AuditLog }) {
  const changes = Object.entries(deed.changes);
  const facts = [
    ["When", new Date(deed.at).toISOString().replace("T", " ").replace(/\..*/, " UTC")],
    ["Thing", `${RESOURCES[deed.resource_type]} ${deed.resource_id}`],
    ["Key", deed.key_id],
    ["Request", deed.request_id],
    ["From", deed.ip],
    ["Client", deed.user_agent],
  ].filter((fact): fact is [string, string] => Boolean(fact[1]));
  return (
    <div className={css.body}>
      {changes.length > 0 && (
        <table className={css.diff}>
          <thead>
            <tr>
              <th scope="col">Field</th>
              <th scope="col">Before</th>
              <th scope="col">After</th>
            </tr>
          </thead>
          <tbody>
            {changes.map(([field, change]) => (
              <tr key={field}>
                <th scope="row">{visible(field)}</th>
                <td>
                  <div className={css.old}>
                    <Plain text={valueText(change.old)} />
                  </div>
                </td>
                <td>
                  <div className={css.new}>
                    <Plain text={valueText(change.new)} />
                  </div>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <dl className={settings.facts}>
        {facts.map(([name, value]) => (
          <div key={name} className={settings.fact}>
            <dt>{name}</dt>
            <dd className={settings.mono}>
              <bdi>{visible(value)}</bdi>
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function Waiting() {
  return (
    <ul
      className={classes(css.log, css.bones)}
      role="status"
      aria-busy="true"
      aria-label="Reading the audit"
    >
      {[52, 64, 46, 70, 58, 49].map((width) => (
        <li key={width}>
          <Bone width={width} />
        </li>
      ))}
    </ul>
  );
}
