// Secrets of whoever is signed in.
import { api } from "../api/client";
import { SettingsPage } from "./parts";
import { secretsQuery } from "./queries";
import { Secrets, type SecretStore } from "./Secrets";

const ONE = "/api/v2/users/{user}/secrets/{secret}";

const mine: SecretStore = {
  query: secretsQuery,
  set: (secret, value) => api.put(ONE, { path: { user: "me", secret }, body: { value } }),
  remove: (secret) => api.delete(ONE, { path: { user: "me", secret } }),
  label: "Your secrets",
  empty: "You have no secrets yet.",
};

export default function SecretsPage() {
  return (
    <SettingsPage
      title="Secrets"
      lead="Keys that your workspaces need, such as that of a model. A workspace gets those that its template asks for by name, as variables of its environment, when it starts."
    >
      <Secrets store={mine} />
    </SettingsPage>
  );
}
