// What users, templates and workspaces belong to.
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useRef, useState, type FormEvent } from "react";

import { SettingsPage, unlessFields, When, wrongWith } from "../account/parts";
import css from "../account/settings.module.css";
import { Table, type Column } from "../account/Table";
import { api, newKey } from "../api/client";
import { queryClient } from "../api/queries";
import type { Organization } from "../api/types";
import { Button, Dialog, ErrorBox, Field } from "../design";
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
  const form = useRef<HTMLFormElement>(null);
  const [name, setName] = useState("");
  const [shown, setShown] = useState("");
  const create = useMutation({
    mutationFn: () =>
      api.post("/api/v2/organizations", {
        body: { name, display_name: shown },
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
  const error = unlessFields(create.error);
  return (
    <Dialog
      title="New organization"
      isOpen
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            kind="primary"
            disabled={create.isPending}
            onClick={() => form.current?.requestSubmit()}
          >
            {create.isPending ? "Making…" : "Make organization"}
          </Button>
        </>
      }
    >
      <form
        ref={form}
        className={css.form}
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <Field
          label="Name"
          value={name}
          required
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          hint="Letters, digits and hyphens."
          wrong={wrongWith(create.error, "name")}
          onChange={(event) => setName(event.target.value)}
        />
        <Field
          label="Shown as"
          value={shown}
          autoComplete="off"
          hint="May be empty."
          wrong={wrongWith(create.error, "display_name")}
          onChange={(event) => setShown(event.target.value)}
        />
        {error !== null && <ErrorBox error={error} />}
        {/* So that Enter sends it: the buttons that are seen stand outside of the form. */}
        <button type="submit" hidden />
      </form>
    </Dialog>
  );
}
