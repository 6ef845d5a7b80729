import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";

import { api, ApiError } from "../api/client";
import { queryClient } from "../api/queries";
import { Button, ErrorBox, Field } from "../design";
import { Card } from "./Card";

/** The first visit: nobody has an account yet, and whoever is here first owns the server. */
export default function SetupPage() {
  const navigate = useNavigate();
  const [form, setForm] = useState({ username: "", email: "", password: "" });
  const create = useMutation({
    mutationFn: async () => {
      await api.post("/api/v2/users/first", { body: form });
      await api.post("/api/v2/users/login", {
        body: { email: form.email, password: form.password },
      });
    },
    onSuccess: async () => {
      queryClient.clear();
      await navigate({ to: "/tasks" });
    },
    onError: async (error) => {
      // Somebody else was quicker, or the first step worked and the second did not.
      if (error instanceof ApiError && [401, 409].includes(error.status)) {
        queryClient.clear();
        await navigate({ to: "/login" });
      }
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  const error = create.error instanceof ApiError ? create.error : null;
  const field = (name: keyof typeof form) => ({
    name,
    value: form[name],
    required: true,
    wrong: error?.field(name) ?? "",
    onChange: (event: { target: { value: string } }) =>
      setForm({ ...form, [name]: event.target.value }),
  });
  return (
    <Card
      title="Create the first user"
      lead="This server is new. The first user owns it and can invite others."
    >
      <form onSubmit={submit}>
        <Field
          label="User name"
          autoComplete="username"
          autoCapitalize="none"
          autoFocus
          spellCheck={false}
          hint="Letters, digits and hyphens."
          {...field("username")}
        />
        <Field label="Email" type="email" autoComplete="email" {...field("email")} />
        <Field
          label="Password"
          type="password"
          autoComplete="new-password"
          hint="At least 8 characters."
          {...field("password")}
        />
        {error && error.validations.length === 0 && <ErrorBox error={error} />}
        <Button kind="primary" type="submit" disabled={create.isPending}>
          {create.isPending ? "Creating…" : "Create user"}
        </Button>
      </form>
    </Card>
  );
}
