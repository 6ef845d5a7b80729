// Makes a user: a person with a password, or a program that lives by tokens.
import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useRef, useState, type FormEvent } from "react";

import { Option, unlessFields, wrongWith } from "../account/parts";
import css from "../account/settings.module.css";
import { api, newKey } from "../api/client";
import { queryClient } from "../api/queries";
import { Button, Dialog, ErrorBox, Field } from "../design";
import { tell } from "../design/toast";
import { usersKey } from "./queries";
import { githubProblem } from "./users";

export function NewUser({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const form = useRef<HTMLFormElement>(null);
  const [given, setGiven] = useState({
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
  const field = (name: keyof typeof given) => ({
    value: given[name],
    autoComplete: "off",
    wrong: wrongWith(create.error, name),
    onChange: (event: { target: { value: string } }) =>
      setGiven({ ...given, [name]: event.target.value }),
  });
  const error = unlessFields(create.error);
  return (
    <Dialog
      title="New user"
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
            {create.isPending ? "Making…" : "Make user"}
          </Button>
        </>
      }
    >
      <form
        ref={form}
        className={css.form}
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          if (!githubProblem(given.github)) create.mutate();
        }}
      >
        <Kind isService={isService} onChange={setService} />
        <Field
          label="User name"
          required
          autoFocus
          autoCapitalize="none"
          spellCheck={false}
          hint="Letters, digits and hyphens."
          {...field("username")}
        />
        <Field
          label="Email"
          type="email"
          required
          hint={isService ? "Of whoever looks after it." : "They sign in by it."}
          {...field("email")}
        />
        <Field label="Full name" hint="May be empty." {...field("name")} />
        {!isService && (
          <Field
            label="Password"
            type="password"
            required
            hint="At least 8 characters. Have them change it after the first sign-in."
            {...field("password")}
            autoComplete="new-password"
          />
        )}
        <Field
          label="GitHub user id"
          inputMode="numeric"
          hint="The account's number, so that tasks from its issues find this user. May be empty."
          {...field("github")}
          wrong={githubProblem(given.github) || wrongWith(create.error, "github_com_user_id")}
        />
        {error !== null && <ErrorBox error={error} />}
        {/* So that Enter sends it: the buttons that are seen stand outside of the form. */}
        <button type="submit" hidden />
      </form>
    </Dialog>
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
