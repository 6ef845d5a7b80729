// One organization: how it is called, how much it may run, and who is in it.
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";

import { Form, LimitField, limitProblem, limitWord, useFields } from "../account/forms";
import { Confirm, Panel, SettingsPage } from "../account/parts";
import css from "../account/settings.module.css";
import { Table, type Column } from "../account/Table";
import { api, ApiError, newKey } from "../api/client";
import { myRolesQuery, queryClient } from "../api/queries";
import type { Member, Organization } from "../api/types";
import { Bone, Button, Empty, ErrorBox, Field } from "../design";
import { visible } from "../design/text";
import { tell, tellError } from "../design/toast";
import { mayChangeOrganization, mayMoveMembers } from "./areas";
import { Pager, SearchField } from "./Finding";
import { membersQuery, organizationQuery, organizationsKey } from "./queries";
import { readUsersSearch } from "./users";

const ADMIN = "organization-admin";
const MEMBER = "/api/v2/organizations/{organization}/members/{user}";

const refresh = () => queryClient.invalidateQueries({ queryKey: organizationsKey });

export default function OrganizationPage() {
  const { organization: name } = useParams({ strict: false }) as { organization: string };
  const found = useQuery(organizationQuery(name));
  const grants = useQuery(myRolesQuery);
  const isGone = found.error instanceof ApiError && found.error.status === 404;
  const one = found.data;
  if (!one) {
    return (
      <SettingsPage title={name}>
        {isGone ? (
          <Empty title="There is no such organization">
            <Link to="/admin/organizations">All organizations</Link>
          </Empty>
        ) : found.error ? (
          <ErrorBox error={found.error} onRetry={() => void found.refetch()} />
        ) : (
          <Bone width={60} />
        )}
      </SettingsPage>
    );
  }
  const mayChange = mayChangeOrganization(grants.data, one.id);
  return (
    <SettingsPage
      title={one.display_name || one.name}
      lead={
        <>
          Organization <bdi>{visible(one.name)}</bdi>
          {one.is_default && ", which new users join"}
        </>
      }
    >
      {mayChange && <Edit key={one.id} one={one} />}
      <Members one={one} mayMove={mayMoveMembers(grants.data, one.id)} mayGrant={mayChange} />
    </SettingsPage>
  );
}

function Edit({ one }: { one: Organization }) {
  const { given, changed, isChanged, field } = useFields({
    display_name: one.display_name,
    description: one.description,
    max_running: limitWord(one.max_running),
  });
  const save = useMutation({
    mutationFn: () => {
      const { max_running: limit, ...words } = changed;
      return api.patch("/api/v2/organizations/{organization}", {
        path: { organization: one.id },
        body: { ...words, ...(limit !== undefined && { max_running: Number(limit) }) },
      });
    },
    onSuccess: async (saved) => {
      queryClient.setQueryData(organizationQuery(saved.name).queryKey, saved);
      tell(`${saved.name} is saved.`);
      await refresh();
    },
  });
  return (
    <Panel title="Settings">
      <Form saving={save} verb="Save" isReady={isChanged && !limitProblem(given.max_running)}>
        <Field label="Shown as" {...field("display_name", save.error)} />
        <Field label="Description" {...field("description", save.error)} />
        <LimitField {...field("max_running", save.error)} />
      </Form>
    </Panel>
  );
}

function Members({
  one,
  mayMove,
  mayGrant,
}: {
  one: Organization;
  mayMove: boolean;
  mayGrant: boolean;
}) {
  const search = readUsersSearch(useSearch({ strict: false }));
  const navigate = useNavigate();
  const members = useQuery(membersQuery(one.id, search));
  const [removed, setRemoved] = useState<Member | null>(null);
  const go = (changed: object) =>
    void navigate({
      to: ".",
      search: readUsersSearch({ ...search, page: undefined, ...changed }) as never,
      replace: true,
    });
  const grant = useMutation({
    mutationFn: ({ member, roles }: { member: Member; roles: string[] }) =>
      api.put("/api/v2/organizations/{organization}/members/{user}/roles", {
        path: { organization: one.id, user: member.user_id },
        body: { roles },
      }),
    onSuccess: refresh,
    onError: tellError,
  });
  const remove = useMutation({
    mutationFn: (member: Member) =>
      api.delete(MEMBER, { path: { organization: one.id, user: member.user_id } }),
    onSuccess: async (_, member) => {
      setRemoved(null);
      tell(`${visible(member.username)} is out of ${visible(one.name)}.`);
      await refresh();
    },
  });
  const isAdmin = (member: Member) => member.roles.some((role) => role.name === ADMIN);
  const columns: Column<Member>[] = [
    {
      title: "Member",
      kind: "main",
      cell: (member) => (
        <>
          <Link to="/admin/users/$user" params={{ user: member.username }} className={css.main}>
            <bdi>{visible(member.name || member.username)}</bdi>
          </Link>
          <bdi className={css.sub}>{visible(member.email)}</bdi>
        </>
      ),
    },
    { title: "Here", cell: (member) => (isAdmin(member) ? "Organization admin" : "Member") },
  ];
  if (mayMove) {
    columns.push({
      title: "",
      kind: "actions",
      cell: (member) => (
        <div className={css.rowActions}>
          {mayGrant && (
            <Button
              kind="quiet"
              disabled={grant.isPending}
              aria-label={`${isAdmin(member) ? "Make member" : "Make admin"}: ${member.username}`}
              onClick={() => grant.mutate({ member, roles: isAdmin(member) ? [] : [ADMIN] })}
            >
              {isAdmin(member) ? "Make member" : "Make admin"}
            </Button>
          )}
          <Button
            kind="quiet"
            aria-label={`Remove ${member.username}`}
            onClick={() => {
              remove.reset();
              setRemoved(member);
            }}
          >
            Remove
          </Button>
        </div>
      ),
    });
  }
  return (
    <>
      {mayMove && <Add one={one} />}
      <div className={css.filters} role="search" aria-label="Members">
        <div className={css.wide}>
          <SearchField value={search.q ?? ""} onChange={(q) => go({ q })} />
        </div>
      </div>
      {members.error ? (
        <ErrorBox error={members.error} onRetry={() => void members.refetch()} />
      ) : (
        <Table
          label="Members"
          columns={columns}
          rows={members.data?.members}
          rowKey={(member) => member.user_id}
          empty={search.q ? "No member matches." : "Nobody is in it."}
        />
      )}
      {members.data && (
        <Pager
          page={search.page ?? 1}
          shown={members.data.members.length}
          total={members.data.count}
          word="members"
          onPage={(page) => go({ page })}
        />
      )}
      <Confirm
        title={`Take ${removed?.username ?? ""} out?`}
        verb="Take out"
        isOpen={removed !== null}
        isBusy={remove.isPending}
        error={remove.error}
        onClose={() => setRemoved(null)}
        onConfirm={() => removed && remove.mutate(removed)}
      >
        <p>They no longer see the templates of this organization. Their account stays.</p>
      </Confirm>
    </>
  );
}

function Add({ one }: { one: Organization }) {
  const [name, setName] = useState("");
  const add = useMutation({
    mutationFn: () =>
      api.post(MEMBER, {
        path: { organization: one.id, user: name.trim() },
        idempotencyKey: newKey(),
      }),
    onSuccess: async () => {
      tell(`${visible(name.trim())} is a member now.`);
      setName("");
      await refresh();
    },
  });
  return (
    <Panel title="Add a member">
      <form
        className={css.row}
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          if (name.trim()) add.mutate();
        }}
      >
        <Field
          label="User name"
          value={name}
          required
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          onChange={(event) => setName(event.target.value)}
        />
        <Button type="submit" disabled={!name.trim() || add.isPending}>
          {add.isPending ? "Adding…" : "Add"}
        </Button>
      </form>
      {add.error && <ErrorBox error={add.error} />}
    </Panel>
  );
}
