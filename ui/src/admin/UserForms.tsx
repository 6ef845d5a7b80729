// What administrators change of a user, each on its own, with what the server says to it.
import { useMutation } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { Form, LimitField, limitProblem, limitWord, useFields } from "../account/forms";
import { Confirm, Option, Panel, wrongWith } from "../account/parts";
import css from "../account/settings.module.css";
import { api } from "../api/client";
import { meQuery, queryClient } from "../api/queries";
import type { User } from "../api/types";
import { Button, ErrorBox, Field } from "../design";
import { tell } from "../design/toast";
import { userQuery, usersKey } from "./queries";
import { githubProblem, SITE_ROLES } from "./users";

/** Shows a changed user wherever users are shown. */
async function show(user: User): Promise<void> {
  queryClient.setQueryData(userQuery(user.username).queryKey, user);
  const me = queryClient.getQueryData(meQuery.queryKey);
  if (me?.id === user.id) queryClient.setQueryData(meQuery.queryKey, user);
  await queryClient.invalidateQueries({ queryKey: usersKey });
}

export function EditUser({ user }: { user: User }) {
  const navigate = useNavigate();
  const { given, changed, isChanged, set, field } = useFields({
    username: user.username,
    name: user.name ?? "",
    email: user.email,
    max_running: limitWord(user.max_running),
    github: "",
  });
  const save = useMutation({
    mutationFn: () => {
      const { max_running: limit, github, ...words } = changed;
      return api.patch("/api/v2/users/{user}", {
        path: { user: user.id },
        body: {
          ...words,
          ...(limit !== undefined && { max_running: Number(limit) }),
          ...(github?.trim() && { github_com_user_id: Number(github) }),
        },
      });
    },
    onSuccess: async (saved) => {
      tell(`${saved.username} is saved.`);
      set({ github: "" });
      await show(saved);
      if (saved.username !== user.username) {
        await navigate({
          to: "/admin/users/$user",
          params: { user: saved.username },
          replace: true,
        });
      }
    },
  });
  const problem = githubProblem(given.github);
  return (
    <Panel title="Profile">
      <Form
        saving={save}
        verb="Save"
        isReady={isChanged && !problem && !limitProblem(given.max_running)}
      >
        <Field
          label="User name"
          required
          autoCapitalize="none"
          spellCheck={false}
          hint="Part of the addresses of their tasks."
          {...field("username", save.error)}
        />
        <Field label="Full name" {...field("name", save.error)} />
        <Field
          label="Email"
          type="email"
          hint={user.is_service_account ? "Of whoever looks after it." : "They sign in by it."}
          {...field("email", save.error)}
        />
        <LimitField {...field("max_running", save.error)} />
        <Field
          label="GitHub user id"
          inputMode="numeric"
          hint="It is not shown. Empty: as it is. 0: none."
          {...field("github", save.error)}
          wrong={problem || wrongWith(save.error, "github_com_user_id")}
        />
      </Form>
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
      await show(saved);
    },
  });
  const isChanged = roles.size !== had.length || had.some((word) => !roles.has(word));
  const reason = isMe
    ? "Nobody changes their own roles. Ask another owner to do it."
    : mayGrant
      ? ""
      : "Owners give and take away roles.";
  const choices = (
    <fieldset className={css.choices} disabled={reason !== ""}>
      <legend className="sr-only">Roles</legend>
      {SITE_ROLES.map(([word, label, does]) => (
        <Option
          key={word}
          type="checkbox"
          label={label}
          hint={does}
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
  );
  return (
    <Panel
      title="Roles"
      lead={
        reason ||
        "Everybody is a member: their own tasks, with the templates of their organizations."
      }
    >
      {reason ? (
        choices
      ) : (
        <Form saving={save} verb="Save roles" isReady={isChanged}>
          {choices}
        </Form>
      )}
    </Panel>
  );
}

export function SetPassword({ user, isMe }: { user: User; isMe: boolean }) {
  const { given, set, field } = useFields({ password: "" });
  const save = useMutation({
    mutationFn: () =>
      api.put("/api/v2/users/{user}/password", { path: { user: user.id }, body: given }),
    onSuccess: () => {
      set({ password: "" });
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
  return (
    <Panel title="Password" lead="A new one ends all their sessions. Their tokens go on.">
      <Form
        saving={save}
        verb="Set password"
        busy="Setting…"
        isPlain
        isReady={given.password !== ""}
      >
        <Field
          label="New password"
          type="password"
          required
          hint="At least 8 characters. Have them change it after they sign in."
          {...field("password", save.error)}
          autoComplete="new-password"
        />
      </Form>
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
      await show(saved);
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
