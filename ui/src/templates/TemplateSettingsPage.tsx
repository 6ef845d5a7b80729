// How a template is called and used, and the secrets that it brings along.
import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { Form, useFields } from "../account/forms";
import { Option, Panel, SettingsPage } from "../account/parts";
import { Secrets, type SecretStore } from "../account/Secrets";
import { api } from "../api/client";
import type { Template } from "../api/types";
import { Empty, Field } from "../design";
import { visible } from "../design/text";
import { tell } from "../design/toast";
import { Crumbs, OfTemplate } from "./Page";
import { refreshTemplates, templateSecretsQuery } from "./queries";
import { searchOf } from "./search";
import { useMayWrite } from "./rights";
import css from "./templates.module.css";
import { hoursToMs, hoursWord, nameProblem } from "./words";

export default function TemplateSettingsPage() {
  return (
    <OfTemplate>{(template) => <Settings key={template.id} template={template} />}</OfTemplate>
  );
}

function Settings({ template }: { template: Template }) {
  const mayWrite = useMayWrite(template.organization_id);
  return (
    <div className={css.page}>
      <Crumbs template={template} />
      <SettingsPage title="Settings">
        {mayWrite ? (
          <>
            <Edit template={template} />
            <h2>Secrets</h2>
            <p className={css.lead}>
              Every workspace of the template gets those of them that it asks for by name.
            </p>
            <Secrets store={storeOf(template)} />
          </>
        ) : (
          <Empty title="You may not change this template">
            <p>It takes the role owner, template admin, or organization admin.</p>
          </Empty>
        )}
      </SettingsPage>
    </div>
  );
}

function Edit({ template }: { template: Template }) {
  const navigate = useNavigate();
  const { given, changed, isChanged, field } = useFields({
    name: template.name,
    display_name: template.display_name,
    description: template.description,
    icon: template.icon,
    deprecation_message: template.deprecation_message,
    default_ttl_ms: hoursWord(template.default_ttl_ms),
  });
  const [isCancelable, setCancelable] = useState(template.allow_user_cancel_workspace_jobs);
  const [isActiveOnly, setActiveOnly] = useState(template.require_active_version);
  const ttl = hoursToMs(given.default_ttl_ms);
  const nameWrong = given.name ? nameProblem(given.name) : "Give a name.";
  const ttlWrong = ttl === null ? "Give hours, up to 8760, or nothing." : "";
  const save = useMutation({
    mutationFn: () => {
      const { default_ttl_ms: hours, ...words } = changed;
      return api.patch("/api/v2/templates/{template}", {
        path: { template: template.id },
        body: {
          ...words,
          ...(hours !== undefined && ttl !== null && { default_ttl_ms: ttl }),
          allow_user_cancel_workspace_jobs: isCancelable,
          require_active_version: isActiveOnly,
        },
      });
    },
    onSuccess: async (saved) => {
      tell(`${visible(saved.name)} is saved.`);
      await navigate({
        to: "/templates/$template",
        params: { template: saved.name },
        search: searchOf(saved),
      });
      await refreshTemplates();
    },
  });
  const isOtherwise =
    isChanged ||
    isCancelable !== template.allow_user_cancel_workspace_jobs ||
    isActiveOnly !== template.require_active_version;
  const name = field("name", save.error);
  const hours = field("default_ttl_ms", save.error);
  return (
    <Panel title="General">
      <Form saving={save} verb="Save" isReady={isOtherwise && !nameWrong && !ttlWrong}>
        <Field
          label="Name"
          hint="It is part of addresses; those that hold the old one lead nowhere then."
          {...name}
          wrong={nameWrong || name.wrong}
        />
        <Field label="Shown as" {...field("display_name", save.error)} />
        <Field label="Description" {...field("description", save.error)} />
        <Field
          label="Picture"
          hint="A path of this server, or a picture as a data: address. Others are not shown."
          {...field("icon", save.error)}
        />
        <Field
          label="Deprecated because"
          hint="With a reason here nothing new is made of it, and people read why."
          {...field("deprecation_message", save.error)}
        />
        <Field
          label="Workspaces stop after, in hours"
          inputMode="decimal"
          hint="Empty: as the server does."
          {...hours}
          wrong={ttlWrong || hours.wrong}
        />
        <Option
          type="checkbox"
          label="Users may cancel builds"
          hint="Otherwise only who administers templates."
          checked={isCancelable}
          onChange={(event) => setCancelable(event.target.checked)}
        />
        <Option
          type="checkbox"
          label="Workspaces use the active version"
          hint="At their next start; otherwise they stay on the version they were made of."
          checked={isActiveOnly}
          onChange={(event) => setActiveOnly(event.target.checked)}
        />
      </Form>
    </Panel>
  );
}

const ONE = "/api/v2/templates/{template}/secrets/{secret}";

function storeOf({ id: template }: Template): SecretStore {
  return {
    query: templateSecretsQuery(template),
    set: (secret, value) => api.put(ONE, { path: { template, secret }, body: { value } }),
    remove: (secret) => api.delete(ONE, { path: { template, secret } }),
    label: "Secrets of the template",
    empty: "It has no secrets.",
  };
}
