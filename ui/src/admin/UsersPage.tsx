// The users of the server: found by name, email and status, page by page.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { Choice, SettingsPage, When } from "../account/parts";
import css from "../account/settings.module.css";
import { Table, type Column } from "../account/Table";
import type { User } from "../api/types";
import { Badge, Button, ErrorBox } from "../design";
import { visible } from "../design/text";
import { useMyRoles } from "../session/may";
import { mayMakeUsers } from "./areas";
import { Pager, SearchField } from "./Finding";
import { NewUser } from "./NewUser";
import { usersQuery } from "./queries";
import { readUsersSearch, STATUSES, statusLook, type UsersSearch } from "./users";

const COLUMNS: Column<User>[] = [
  {
    title: "User",
    kind: "main",
    cell: (user) => (
      <>
        <Link to="/admin/users/$user" params={{ user: user.username }} className={css.main}>
          <bdi>{visible(user.name || user.username)}</bdi>
        </Link>
        <bdi className={css.sub}>
          {user.name ? `${visible(user.username)} · ` : ""}
          {user.is_service_account ? "service account" : visible(user.email)}
        </bdi>
      </>
    ),
  },
  {
    title: "Roles",
    cell: (user) => (
      <span className={css.tags}>
        {user.roles.length === 0 && <span className={css.muted}>Member</span>}
        {user.roles.map((role) => (
          <span key={role.name} className={css.tag}>
            {role.display_name}
          </span>
        ))}
      </span>
    ),
  },
  { title: "Status", cell: (user) => <Status user={user} /> },
  { title: "Last seen", kind: "time", cell: (user) => <When at={user.last_seen_at} /> },
  { title: "Made", kind: "time", cell: (user) => <When at={user.created_at} /> },
];

export default function UsersPage() {
  const search = readUsersSearch(useSearch({ strict: false }));
  const navigate = useNavigate();
  const { roles } = useMyRoles();
  const [isMaking, setMaking] = useState(false);
  const users = useQuery(usersQuery(search));
  const go = (changed: Partial<Record<keyof UsersSearch, unknown>>) =>
    void navigate({
      to: "/admin/users",
      search: readUsersSearch({ ...search, page: undefined, ...changed }) as never,
      replace: true,
    });
  return (
    <SettingsPage
      title="Users"
      lead="Who has an account here, people and programs."
      actions={
        mayMakeUsers(roles) && (
          <Button kind="primary" onClick={() => setMaking(true)}>
            New user
          </Button>
        )
      }
    >
      <div className={css.filters} role="search" aria-label="Users">
        <div className={css.wide}>
          <SearchField value={search.q ?? ""} onChange={(q) => go({ q })} />
        </div>
        <Choice
          label="Status"
          value={search.status ?? ""}
          options={[
            ["", "All"],
            ...STATUSES.map((one) => [one, one[0]!.toUpperCase() + one.slice(1)] as const),
          ]}
          onChange={(status) => go({ status })}
        />
      </div>
      {users.error ? (
        <ErrorBox error={users.error} onRetry={() => void users.refetch()} />
      ) : (
        <Table
          label="Users"
          columns={COLUMNS}
          rows={users.data?.users}
          rowKey={(user) => user.id}
          empty={search.page ? "There are no more." : "No user matches."}
        />
      )}
      {users.data && (
        <Pager
          page={search.page ?? 1}
          shown={users.data.users.length}
          total={users.data.count}
          word="users"
          onPage={(page) => go({ page })}
        />
      )}
      {isMaking && <NewUser onClose={() => setMaking(false)} />}
    </SettingsPage>
  );
}

export function Status({ user }: { user: User }) {
  const [word, tone] = statusLook(user);
  return <Badge tone={tone}>{word}</Badge>;
}
