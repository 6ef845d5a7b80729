// Tokens of one user, or of everybody: what they are, and how they end.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api } from "../api/client";
import { queryClient } from "../api/queries";
import type { ApiKey } from "../api/types";
import { ErrorBox, Button } from "../design";
import { visible } from "../design/text";
import { tell } from "../design/toast";
import { Confirm, When } from "./parts";
import { tokensKey, tokensQuery } from "./queries";
import css from "./settings.module.css";
import { Table, type Column } from "./Table";

type Deed = "expire" | "delete";

export function Tokens({
  user,
  label,
  isOfAll = false,
  mayChange = true,
}: {
  user: string;
  label: string;
  isOfAll?: boolean;
  mayChange?: boolean;
}) {
  const [withExpired, setWithExpired] = useState(false);
  const tokens = useQuery(tokensQuery(user, withExpired, isOfAll));
  const [asked, setAsked] = useState<{ deed: Deed; token: ApiKey } | null>(null);
  const end = useMutation({
    mutationFn: async ({ deed, token }: { deed: Deed; token: ApiKey }): Promise<unknown> => {
      const path = { user: token.user_id, keyid: token.id };
      return deed === "expire"
        ? api.put("/api/v2/users/{user}/keys/{keyid}/expire", { path })
        : api.delete("/api/v2/users/{user}/keys/{keyid}", { path });
    },
    onSuccess: async (_, { deed, token }) => {
      setAsked(null);
      tell(`${visible(token.token_name)} is ${deed === "expire" ? "expired" : "deleted"}.`);
      await queryClient.invalidateQueries({ queryKey: tokensKey });
    },
  });
  const ask = (deed: Deed, token: ApiKey) => {
    end.reset();
    setAsked({ deed, token });
  };

  const columns: Column<ApiKey>[] = [
    {
      title: "Name",
      kind: "main",
      cell: (token) => (
        <>
          <bdi className={css.main}>{visible(token.token_name)}</bdi>
          {isOfAll && <bdi className={css.sub}>{visible(token.username ?? token.user_id)}</bdi>}
        </>
      ),
    },
    { title: "Scope", cell: (token) => token.scope },
    { title: "Made", kind: "time", cell: (token) => <When at={token.created_at} /> },
    { title: "Last used", kind: "time", cell: (token) => <When at={token.last_used} /> },
    { title: "Expires", kind: "time", cell: (token) => <Expiry token={token} /> },
  ];
  if (mayChange) {
    columns.push({
      title: "",
      kind: "actions",
      cell: (token) => {
        const name = visible(token.token_name);
        return (
          <div className={css.rowActions}>
            {!isOver(token) && (
              <Button
                kind="quiet"
                aria-label={`Expire ${name}`}
                onClick={() => ask("expire", token)}
              >
                Expire
              </Button>
            )}
            <Button kind="quiet" aria-label={`Delete ${name}`} onClick={() => ask("delete", token)}>
              Delete
            </Button>
          </div>
        );
      },
    });
  }
  const name = asked ? visible(asked.token.token_name) : "";
  return (
    <>
      {tokens.error ? (
        <ErrorBox error={tokens.error} onRetry={() => void tokens.refetch()} />
      ) : (
        <Table
          label={label}
          columns={columns}
          rows={tokens.data}
          rowKey={(token) => token.id}
          empty={
            withExpired
              ? "There are no tokens."
              : "There are no tokens that work. A token lets a program do what its user may."
          }
        />
      )}
      <label className={css.check}>
        <input
          type="checkbox"
          checked={withExpired}
          onChange={(event) => setWithExpired(event.target.checked)}
        />
        Show expired ones too
      </label>
      <Confirm
        title={asked?.deed === "delete" ? `Delete the token ${name}?` : `Expire the token ${name}?`}
        verb={asked?.deed === "delete" ? "Delete token" : "Expire token"}
        isOpen={asked !== null}
        isBusy={end.isPending}
        error={end.error}
        onClose={() => setAsked(null)}
        onConfirm={() => asked && end.mutate(asked)}
      >
        <p>
          {asked && isOver(asked.token)
            ? "It no longer works. It leaves this list; the audit still names it."
            : "Programs that use it are refused from their next request on."}
          {asked?.deed === "expire" && " It stays among the expired ones, for you to look up."}
        </p>
      </Confirm>
    </>
  );
}

function isOver(token: ApiKey): boolean {
  return Date.parse(token.expires_at) <= Date.now();
}

function Expiry({ token }: { token: ApiKey }) {
  return isOver(token) ? (
    <>
      ended <When at={token.expires_at} />
    </>
  ) : (
    <When at={token.expires_at} />
  );
}
