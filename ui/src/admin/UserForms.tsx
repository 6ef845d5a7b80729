// What administrators change of a user, each on its own, with what the server says to it.
import { useMutation } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";

import { Confirm, Option, Panel, unlessFields, wrongWith } from "../account/parts";
import css from "../account/settings.module.css";
import { api } from "../api/client";
import { meQuery, queryClient } from "../api/queries";
import type { User } from "../api/types";
import { Button, ErrorBox, Field } from "../design";
import { tell } from "../design/toast";
import { userQuery, usersKey } from "./queries";
import { githubProblem, SITE_ROLES } from "./users";

/** Shows a changed user wherever users are shown. */
async function changed(user: User): Promise<void> {
  queryClient.setQueryData(userQuery(user.username).queryKey, user);
  const me = queryClient.getQueryData(meQuery.queryKey);
  if (me?.id === user.id) queryClient.setQueryData(meQuery.queryKey, user);
  await queryClient.invalidateQueries({ queryKey: usersKey });
}

export function EditUser({ user }: { user: User }) {
  const navigate = useNavigate();
  const was = {
    username: user.username,
    name: user.name ?? "",
    email: user.email,
    max_running: user.max_running === undefined ? "" : String(user.max_running),
    github: "",
  };
  const [given, setGiven] = useState(was);
  const save = useMutation({
    mutationFn: () =>
      api.patch("/api/v2/users/{user}", {
        path: { user: user.id },
        body: {
          ...(given.username !== was.username && { username: given.username }),
          ...(given.name !== was.name && { name: given.name }),
          ...(given.email !== was.email && { email: given.email }),
          ...(given.max_running !== was.max_running && { max_running: Number(given.max_running) }),
          ...(given.github.trim() && { github_com_user_id: Number(given.github) }),
        },
      }),
    onSuccess: async (saved) => {
      tell(`${saved.username} is saved.`);
      setGiven({ ...given, github: "" });
      await changed(saved);
      if (saved.username !== user.username) {
        await navigate({
          to: "/admin/users/$user",
          params: { user: saved.username },
          replace: true,
        });
      }
    },
  });
  const field = (name: keyof typeof given) => ({
    value: given[name],
    autoComplete: "off",
    wrong: wrongWith(save.error, name),
    onChange: (event: { target: { value: string } }) =>
      setGiven({ ...given, [name]: event.target.value }),
  });
  const isChanged = (Object.keys(was) as (keyof typeof was)[]).some(
    (name) => given[name] !== was[name],
  );
  const problem = githubProblem(given.github);
  const wrongLimit = /^\d{0,6}$/.test(given.max_running) ? "" : "Give a whole number.";
  const error = unlessFields(save.error);
  return (
    <Panel title="Profile">
      <form
        className={css.form}
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          if (isChanged && !problem && !wrongLimit) save.mutate();
        }}
      >
        <Field
          label="User name"
          required
          autoCapitalize="none"
          spellCheck={false}
          hint="Part of the addresses of their tasks."
          {...field("username")}
        />
        <Field label="Full name" {...field("name")} />
        <Field
          label="Email"
          type="email"
          hint={user.is_service_account ? "Of whoever looks after it." : "They sign in by it."}
          {...field("email")}
        />
        <Field
          label="Workspaces that may run at once"
          inputMode="numeric"
          hint="Empty: the server's own limit."
          {...field("max_running")}
          wrong={wrongLimit || wrongWith(save.error, "max_running")}
        />
        <Field
          label="GitHub user id"
          inputMode="numeric"
          hint="It is not shown. Empty: as it is. 0: none."
          {...field("github")}
          wrong={problem || wrongWith(save.error, "github_com_user_id")}
        />
        {error !== null && <ErrorBox error={error} />}
        <div className={css.buttons}>
          <Button kind="primary" type="submit" disabled={!isChanged || save.isPending}>
            {save.isPending ? "Saving…" : "Save"}
          </Button>
        </div>
      </form>
    </Panel>
  );
}

export function SetRoles({
  user,
  isMe,
  mayGrant,
}: {
  user: User;
  isMe: boolean;
  mayGrant: boolean;
}) {
  const had = user.roles.map((role) => role.name);
  const [roles, setRoles] = useState<ReadonlySet<string>>(new Set(had));
  const save = useMutation({
    mutationFn: () =>
      api.put("/api/v2/users/{user}/roles", {
        path: { user: user.id },
        body: { roles: SITE_ROLES.map(([word]) => word).filter((word) => roles.has(word)) },
      }),
    onSuccess: async (saved) => {
      tell(`The roles of ${saved.username} are saved.`);
      await changed(saved);
    },
  });
  const isChanged = roles.size !== had.length || had.some((word) => !roles.has(word));
  const reason = isMe
    ? "Nobody changes their own roles. Ask another owner to do it."
    : mayGrant
      ? ""
      : "Owners give and take away roles.";
  return (
    <Panel
      title="Roles"
      lead={
        reason ||
        "Everybody is a member: their own tasks, with the templates of their organizations."
      }
    >
      <form
        className={css.form}
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <fieldset className={css.choices} disabled={reason !== ""}>
          <legend className="sr-only">Roles</legend>
          {SITE_ROLES.map(([word, label, does]) => (
            <Option
              key={word}
              type="checkbox"
              label={label}
              hint={does}
              disabled={reason !== ""}
              checked={roles.has(word)}
              onChange={(event) => {
                const next = new Set(roles);
                if (event.target.checked) next.add(word);
                else next.delete(word);
                setRoles(next);
              }}
            />
          ))}
        </fieldset>
        {save.error && <ErrorBox error={save.error} />}
        {!reason && (
          <div className={css.buttons}>
            <Button kind="primary" type="submit" disabled={!isChanged || save.isPending}>
              {save.isPending ? "Saving…" : "Save roles"}
            </Button>
          </div>
        )}
      </form>
    </Panel>
  );
}

export function SetPassword({ user, isMe }: { user: User; isMe: boolean }) {
  const [password, setPassword] = useState("");
  const save = useMutation({
    mutationFn: () =>
      api.put("/api/v2/users/{user}/password", { path: { user: user.id }, body: { password } }),
    onSuccess: () => {
      setPassword("");
      tell(`${user.username} has a new password.`, "All their sessions have ended.");
    },
  });
  if (user.login_type !== "password" || isMe) {
    return (
      <Panel title="Password">
        <p className={css.muted}>
          {isMe ? (
            <>
              Yours is changed in <Link to="/account">your profile</Link>, where the old one is
              asked for.
            </>
          ) : user.login_type === "none" ? (
            "A service account has no password, and never gets one: it lives by tokens."
          ) : (
            `They sign in by ${user.login_type}, and so have no password here.`
          )}
        </p>
      </Panel>
    );
  }
  const error = unlessFields(save.error);
  return (
    <Panel title="Password" lead="A new one ends all their sessions. Their tokens go on.">
      <form
        className={css.form}
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Field
          label="New password"
          type="password"
          value={password}
          required
          autoComplete="new-password"
          hint="At least 8 characters. Have them change it after they sign in."
          wrong={wrongWith(save.error, "password")}
          onChange={(event) => setPassword(event.target.value)}
        />
        {error !== null && <ErrorBox error={error} />}
        <div className={css.buttons}>
          <Button type="submit" disabled={!password || save.isPending}>
            {save.isPending ? "Setting…" : "Set password"}
          </Button>
        </div>
      </form>
    </Panel>
  );
}

export function Standing({ user, isMe }: { user: User; isMe: boolean }) {
  const navigate = useNavigate();
  const [asking, setAsking] = useState<"suspend" | "delete" | null>(null);
  const isOut = user.status === "suspended";
  const stand = useMutation({
    mutationFn: (deed: "suspend" | "activate") =>
      api.put(`/api/v2/users/{user}/status/${deed}`, { path: { user: user.id } }),
    onSuccess: async (saved, deed) => {
      setAsking(null);
      tell(`${saved.username} is ${deed === "suspend" ? "suspended" : "let in again"}.`);
      await changed(saved);
    },
  });
  const remove = useMutation({
    mutationFn: () => api.delete("/api/v2/users/{user}", { path: { user: user.id } }),
    onSuccess: async () => {
      setAsking(null);
      tell(`${user.username} is deleted.`);
      await navigate({ to: "/admin/users" });
      await queryClient.invalidateQueries({ queryKey: usersKey });
    },
  });
  const ask = (what: "suspend" | "delete") => {
    stand.reset();
    remove.reset();
    setAsking(what);
  };
  if (isMe) {
    return (
      <Panel title="Keep out or delete">
        <p className={css.muted}>
          Nobody suspends or deletes themself. Another administrator can do it.
        </p>
      </Panel>
    );
  }
  return (
    <Panel
      title="Keep out or delete"
      lead={
        isOut
          ? "They are kept out: every key of theirs is refused until they are let in again. Their tasks are as they were."
          : "Suspending keeps them out until you let them in again, and leaves what they have. Deleting is for good, and refused while they have workspaces."
      }
    >
      {stand.error && asking === null && <ErrorBox error={stand.error} />}
      <div className={css.buttons}>
        {isOut ? (
          <Button disabled={stand.isPending} onClick={() => stand.mutate("activate")}>
            Let in again
          </Button>
        ) : (
          <Button onClick={() => ask("suspend")}>Suspend…</Button>
        )}
        <Button kind="danger" onClick={() => ask("delete")}>
          Delete…
        </Button>
      </div>
      <Confirm
        title={`Suspend ${user.username}?`}
        verb="Suspend"
        keep="Cancel"
        isOpen={asking === "suspend"}
        isBusy={stand.isPending}
        error={stand.error}
        onClose={() => setAsking(null)}
        onConfirm={() => stand.mutate("suspend")}
      >
        <p>They are signed out at once, and their tokens are refused. Tasks that run go on.</p>
      </Confirm>
      <Confirm
        title={`Delete ${user.username}?`}
        verb="Delete user"
        typed={user.username}
        isOpen={asking === "delete"}
        isBusy={remove.isPending}
        error={remove.error}
        onClose={() => setAsking(null)}
        onConfirm={() => remove.mutate()}
      >
        <p>
          Their keys and secrets end for good; name and email are free again. What they did stays in
          the audit. This cannot be undone.
        </p>
      </Confirm>
    </Panel>
  );
}
