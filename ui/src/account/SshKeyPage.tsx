import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api } from "../api/client";
import { queryClient } from "../api/queries";
import { Bone, Button, ErrorBox } from "../design";
import { tell } from "../design/toast";
import { Confirm, CopyBox, Panel, SettingsPage, When } from "./parts";
import { sshKeyQuery } from "./queries";
import css from "./settings.module.css";

export default function SshKeyPage() {
  const key = useQuery(sshKeyQuery);
  const [isAsking, setAsking] = useState(false);
  const renew = useMutation({
    mutationFn: () => api.put("/api/v2/users/{user}/gitsshkey", { path: { user: "me" } }),
    onSuccess: (made) => {
      queryClient.setQueryData(sshKeyQuery.queryKey, made);
      setAsking(false);
      tell("You have a new SSH key.");
    },
  });
  return (
    <SettingsPage
      title="SSH key"
      lead="Some clients ask for it. Workspaces do not use it: git signs in there by the secret GIT_TOKEN, over https."
    >
      <Panel title="Public key">
        {key.error ? (
          <ErrorBox error={key.error} onRetry={() => void key.refetch()} />
        ) : key.data ? (
          <>
            <CopyBox label="Public key" text={key.data.public_key.trim()} />
            <p className={css.small}>
              Made <When at={key.data.updated_at} />. Only this half is kept.
            </p>
          </>
        ) : (
          <Bone width={90} />
        )}
        <div className={css.buttons}>
          <Button
            disabled={!key.data}
            onClick={() => {
              renew.reset();
              setAsking(true);
            }}
          >
            Make a new one…
          </Button>
        </div>
      </Panel>
      <Confirm
        title="Make a new SSH key?"
        verb="Make a new key"
        keep="Keep the old one"
        isOpen={isAsking}
        isBusy={renew.isPending}
        error={renew.error}
        onClose={() => setAsking(false)}
        onConfirm={() => renew.mutate()}
      >
        <p>The old one is forgotten. Take it out wherever you have put it.</p>
      </Confirm>
    </SettingsPage>
  );
}
