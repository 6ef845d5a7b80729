// What users, templates and workspaces belong to.
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { FormDialog, useFields } from "../account/forms";
import { SettingsPage, When } from "../account/parts";
import css from "../account/settings.module.css";
import { Table, type Column } from "../account/Table";
import { api, newKey } from "../api/client";
import { queryClient } from "../api/queries";
import type { Organization } from "../api/types";
import { Button, ErrorBox, Field } from "../design";
import { visible } from "../design/text";
import { tell } from "../design/toast";
import { useMyRoles } from "../session/may";
import { organizationsKey, organizationsQuery } from "./queries";

const COLUMNS: Column<Organization>[] = [
  {
    title: "Organization",
    kind: "main",
    cell: (one) => (
      <>
        <Link
          to="/admin/organizations/$organization"
          params={{ organization: one.name }}
          className={css.main}
        >
          <bdi>{visible(one.display_name || one.name)}</bdi>
        </Link>
        <bdi className={css.sub}>
          {visible(one.description || (one.display_name === one.name ? "" : one.name))}
        </bdi>
      </>
    ),
  },
  { title: "Default", cell: (one) => (one.is_default ? "yes" : "no") },
  { title: "May run at once", kind: "number", cell: (one) => one.max_running ?? "no limit" },
  { title: "Made", kind: "time", cell: (one) => <When at={one.created_at} /> },
];

export default function OrganizationsPage() {
  const { roles } = useMyRoles();
  const [isMaking, setMaking] = useState(false);
  const all = useQuery(organizationsQuery);
  return (
    <SettingsPage
      title="Organizations"
      lead="What users, templates and workspaces belong to. New users join the default one."
      actions={
        roles.has("owner") && (
          <Button kind="primary" onClick={() => setMaking(true)}>
            New organization
          </Button>
        )
      }
    >
      {all.error ? (
        <ErrorBox error={all.error} onRetry={() => void all.refetch()} />
      ) : (
        <Table
          label="Organizations"
          columns={COLUMNS}
          rows={all.data}
          rowKey={(one) => one.id}
          empty="You are in none that you may see."
        />
      )}
      {isMaking && <NewOrganization onClose={() => setMaking(false)} />}
    </SettingsPage>
  );
}

function NewOrganization({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const { given, field } = useFields({ name: "", display_name: "" });
  const create = useMutation({
    mutationFn: () =>
      api.post("/api/v2/organizations", {
        body: given,
        idempotencyKey: newKey(),
      }),
    onSuccess: async (made) => {
      onClose();
      tell(`${made.name} is made.`);
      await queryClient.invalidateQueries({ queryKey: organizationsKey });
      await navigate({
        to: "/admin/organizations/$organization",
        params: { organization: made.name },
      });
    },
  });
  return (
    <FormDialog title="New organization" saving={create} verb="Make organization" onClose={onClose}>
      <Field
        label="Name"
        required
        autoCapitalize="none"
        spellCheck={false}
        hint="Letters, digits and hyphens."
        {...field("name", create.error)}
      />
      <Field label="Shown as" hint="May be empty." {...field("display_name", create.error)} />
    </FormDialog>
  );
}
