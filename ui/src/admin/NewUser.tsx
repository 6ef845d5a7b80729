// Makes a user: a person with a password, or a program that lives by tokens.
import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { FormDialog, useFields } from "../account/forms";
import { Option, wrongWith } from "../account/parts";
import css from "../account/settings.module.css";
import { api, newKey } from "../api/client";
import { queryClient } from "../api/queries";
import { Field } from "../design";
import { tell } from "../design/toast";
import { usersKey } from "./queries";
import { githubProblem } from "./users";

export function NewUser({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const { given, field } = useFields({
    username: "",
    email: "",
    name: "",
    password: "",
    github: "",
  });
  const [isService, setService] = useState(false);
  const create = useMutation({
    mutationFn: () =>
      api.post("/api/v2/users", {
        body: {
          username: given.username,
          email: given.email,
          name: given.name,
          ...(isService ? { login_type: "none" } : { password: given.password }),
          ...(given.github.trim() && { github_com_user_id: Number(given.github) }),
        },
        idempotencyKey: newKey(),
      }),
    onSuccess: async (user) => {
      onClose();
      tell(
        `${user.username} is made.`,
        isService ? "Make a token for it to sign in with." : "Tell them their password.",
      );
      await queryClient.invalidateQueries({ queryKey: usersKey });
      await navigate({ to: "/admin/users/$user", params: { user: user.username } });
    },
  });
  return (
    <FormDialog
      title="New user"
      saving={create}
      verb="Make user"
      isReady={!githubProblem(given.github)}
      onClose={onClose}
    >
      <Kind isService={isService} onChange={setService} />
      <Field
        label="User name"
        required
        autoFocus
        autoCapitalize="none"
        spellCheck={false}
        hint="Letters, digits and hyphens."
        {...field("username", create.error)}
      />
      <Field
        label="Email"
        type="email"
        required
        hint={isService ? "Of whoever looks after it." : "They sign in by it."}
        {...field("email", create.error)}
      />
      <Field label="Full name" hint="May be empty." {...field("name", create.error)} />
      {!isService && (
        <Field
          label="Password"
          type="password"
          required
          hint="At least 8 characters. Have them change it after the first sign-in."
          {...field("password", create.error)}
          autoComplete="new-password"
        />
      )}
      <Field
        label="GitHub user id"
        inputMode="numeric"
        hint="The account's number, so that tasks from its issues find this user. May be empty."
        {...field("github", create.error)}
        wrong={githubProblem(given.github) || wrongWith(create.error, "github_com_user_id")}
      />
    </FormDialog>
  );
}

function Kind({
  isService,
  onChange,
}: {
  isService: boolean;
  onChange: (isService: boolean) => void;
}) {
  const choices = [
    [false, "Person", "Signs in with a password."],
    [true, "Service account", "A program: no password, it lives by tokens."],
  ] as const;
  return (
    <fieldset className={css.choices}>
      <legend>Kind</legend>
      {choices.map(([value, label, hint]) => (
        <Option
          key={label}
          type="radio"
          name="kind"
          label={label}
          hint={hint}
          checked={isService === value}
          onChange={() => onChange(value)}
        />
      ))}
    </fieldset>
  );
}
