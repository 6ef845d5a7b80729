// Who somebody is, and the password they sign in by.
import { useMutation, useSuspenseQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { api } from "../api/client";
import { meQuery, queryClient } from "../api/queries";
import type { User } from "../api/types";
import { Button, ErrorBox, Field } from "../design";
import { tell } from "../design/toast";
import { Panel, SettingsPage, unlessFields, wrongWith } from "./parts";
import css from "./settings.module.css";

export default function ProfilePage() {
  const { data: me } = useSuspenseQuery(meQuery);
  return (
    <SettingsPage title="Profile">
      <NameForm me={me} />
      <Panel title="What you may do">
        <dl className={css.facts}>
          <dt>Roles</dt>
          <dd>{me.roles.map((role) => role.display_name).join(", ") || "Member"}</dd>
          <dt>Email</dt>
          <dd>
            <bdi>{me.email}</bdi>
          </dd>
        </dl>
        <p className={css.small}>
          Owners change roles; owners and user admins change the email address you sign in by.
        </p>
      </Panel>
      <Password me={me} />
    </SettingsPage>
  );
}

function NameForm({ me }: { me: User }) {
  const [username, setUsername] = useState(me.username);
  const [name, setName] = useState(me.name ?? "");
  const save = useMutation({
    mutationFn: () =>
      api.put("/api/v2/users/{user}/profile", { path: { user: "me" }, body: { username, name } }),
    onSuccess: (changed) => {
      queryClient.setQueryData(meQuery.queryKey, changed);
      tell("Your profile is saved.");
    },
  });
  const isChanged = username !== me.username || name !== (me.name ?? "");
  const error = unlessFields(save.error);
  return (
    <Panel title="Name">
      <form
        className={css.form}
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          if (isChanged) save.mutate();
        }}
      >
        <Field
          label="User name"
          name="username"
          value={username}
          required
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          hint="Part of the addresses of your tasks: links that others have to them change with it."
          wrong={wrongWith(save.error, "username")}
          onChange={(event) => setUsername(event.target.value)}
        />
        <Field
          label="Full name"
          name="name"
          value={name}
          autoComplete="name"
          hint="What people read. May be empty."
          wrong={wrongWith(save.error, "name")}
          onChange={(event) => setName(event.target.value)}
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

function Password({ me }: { me: User }) {
  const [old, setOld] = useState("");
  const [wanted, setWanted] = useState("");
  const [isShown, setShown] = useState(false);
  const change = useMutation({
    mutationFn: () =>
      api.put("/api/v2/users/{user}/password", {
        path: { user: "me" },
        body: { old_password: old, password: wanted },
      }),
    onSuccess: () => {
      setOld("");
      setWanted("");
      tell("Your password is changed.", "All your other sessions have ended.");
    },
  });
  if (me.login_type !== "password") {
    return (
      <Panel title="Password">
        <p className={css.muted}>
          This account signs in by {me.login_type === "none" ? "tokens" : me.login_type}, so it has
          no password.
        </p>
      </Panel>
    );
  }
  const type = isShown ? "text" : "password";
  const error = unlessFields(change.error);
  return (
    <Panel
      title="Password"
      lead="A new password ends all your sessions but this one. Tokens go on; end those you no longer trust."
    >
      <form
        className={css.form}
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          change.mutate();
        }}
      >
        <input
          type="text"
          className="sr-only"
          name="username"
          autoComplete="username"
          value={me.email}
          readOnly
          tabIndex={-1}
          aria-hidden="true"
        />
        <Field
          label="Old password"
          name="old_password"
          type={type}
          value={old}
          required
          autoComplete="current-password"
          wrong={wrongWith(change.error, "old_password")}
          onChange={(event) => setOld(event.target.value)}
        />
        <Field
          label="New password"
          name="password"
          type={type}
          value={wanted}
          required
          autoComplete="new-password"
          hint="At least 8 characters."
          wrong={wrongWith(change.error, "password")}
          onChange={(event) => setWanted(event.target.value)}
        />
        {error !== null && <ErrorBox error={error} />}
        <div className={css.buttons}>
          <Button kind="primary" type="submit" disabled={change.isPending || !old || !wanted}>
            {change.isPending ? "Changing…" : "Change password"}
          </Button>
          <label className={css.check}>
            <input
              type="checkbox"
              checked={isShown}
              onChange={(event) => setShown(event.target.checked)}
            />
            Show what is typed
          </label>
        </div>
      </form>
    </Panel>
  );
}
