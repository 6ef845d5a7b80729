// The users of the server: found by name, email and status, page by page.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import { Choice, SettingsPage, When } from "../account/parts";
import css from "../account/settings.module.css";
import { Table, type Column } from "../account/Table";
import type { User } from "../api/types";
import { Badge, Button, ErrorBox, Field } from "../design";
import { visible } from "../design/text";
import { useMyRoles } from "../session/may";
import { mayMakeUsers } from "./areas";
import { NewUser } from "./NewUser";
import { usersQuery } from "./queries";
import { PAGE_SIZE, readUsersSearch, STATUSES, statusLook, type UsersSearch } from "./users";

/** Milliseconds after the last key before the server is asked. */
const TYPING_MS = 250;

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

/** What is typed is shown at once, and asked for when the typing stops. */
function SearchField({ value, onChange }: { value: string; onChange: (text: string) => void }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onChange(text), TYPING_MS);
    return () => clearTimeout(timer);
  });
  return (
    <Field
      label="Search"
      type="search"
      value={text}
      placeholder="Name or email"
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => setText(event.target.value)}
    />
  );
}

function Pager({
  page,
  shown,
  total,
  onPage,
}: {
  page: number;
  shown: number;
  total: number;
  onPage: (page: number) => void;
}) {
  const first = (page - 1) * PAGE_SIZE + 1;
  const isOne = page === 1 && total <= PAGE_SIZE;
  return (
    <nav className={css.pager} aria-label="Pages">
      <span aria-live="polite">
        {shown === 0
          ? `${total} in all`
          : isOne
            ? `${total} ${total === 1 ? "user" : "users"}`
            : `${first}–${first + shown - 1} of ${total}`}
      </span>
      {!isOne && (
        <span className={css.buttons}>
          <Button disabled={page === 1} onClick={() => onPage(page - 1)}>
            Previous
          </Button>
          <Button disabled={page * PAGE_SIZE >= total} onClick={() => onPage(page + 1)}>
            Next
          </Button>
        </span>
      )}
    </nav>
  );
}
