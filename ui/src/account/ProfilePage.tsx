// Who somebody is, and the password they sign in by.
import { useMutation, useSuspenseQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api } from "../api/client";
import { meQuery, queryClient } from "../api/queries";
import type { User } from "../api/types";
import { Field } from "../design";
import { tell } from "../design/toast";
import { Form, useFields } from "./forms";
import { Panel, SettingsPage } from "./parts";
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
  const { given, field, isChanged } = useFields({ username: me.username, name: me.name ?? "" });
  const save = useMutation({
    mutationFn: () =>
      api.put("/api/v2/users/{user}/profile", { path: { user: "me" }, body: given }),
    onSuccess: (changed) => {
      queryClient.setQueryData(meQuery.queryKey, changed);
      tell("Your profile is saved.");
    },
  });
  return (
    <Panel title="Name">
      <Form saving={save} verb="Save" isReady={isChanged}>
        <Field
          label="User name"
          required
          autoCapitalize="none"
          spellCheck={false}
          hint="Part of the addresses of your tasks: links that others have to them change with it."
          {...field("username", save.error)}
          autoComplete="username"
        />
        <Field
          label="Full name"
          hint="What people read. May be empty."
          {...field("name", save.error)}
          autoComplete="name"
        />
      </Form>
    </Panel>
  );
}

function Password({ me }: { me: User }) {
  const { given, set, field } = useFields({ old_password: "", password: "" });
  const [isShown, setShown] = useState(false);
  const change = useMutation({
    mutationFn: () =>
      api.put("/api/v2/users/{user}/password", {
        path: { user: "me" },
        body: given,
      }),
    onSuccess: () => {
      set({ old_password: "", password: "" });
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
  return (
    <Panel
      title="Password"
      lead="A new password ends all your sessions but this one. Tokens go on; end those you no longer trust."
    >
      <Form
        saving={change}
        verb="Change password"
        busy="Changing…"
        isReady={Boolean(given.old_password && given.password)}
        beside={
          <label className={css.check}>
            <input
              type="checkbox"
              checked={isShown}
              onChange={(event) => setShown(event.target.checked)}
            />
            Show what is typed
          </label>
        }
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
          type={type}
          required
          {...field("old_password", change.error)}
          autoComplete="current-password"
        />
        <Field
          label="New password"
          type={type}
          required
          hint="At least 8 characters."
          {...field("password", change.error)}
          autoComplete="new-password"
        />
      </Form>
    </Panel>
  );
}
