// One user, as those see them who administer users.
import { useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";

import { NewToken } from "../account/NewToken";
import { Panel, SettingsPage, When } from "../account/parts";
import css from "../account/settings.module.css";
import { Tokens } from "../account/Tokens";
import { ApiError } from "../api/client";
import { meQuery } from "../api/queries";
import type { User } from "../api/types";
import { Bone, Empty, ErrorBox } from "../design";
import { visible } from "../design/text";
import { useMyRoles } from "../session/may";
import { mayChangeUser } from "./areas";
import { userQuery } from "./queries";
import { EditUser, SetPassword, SetRoles, Standing } from "./UserForms";
import { Status } from "./UsersPage";

export default function UserPage() {
  const { user: name } = useParams({ strict: false }) as { user: string };
  const found = useQuery(userQuery(name));
  if (found.error instanceof ApiError && found.error.status === 404) {
    return (
      <SettingsPage title={name}>
        <Empty title="There is no such user">
          <p>They may have been deleted, or are called otherwise now.</p>
          <Link to="/admin/users">All users</Link>
        </Empty>
      </SettingsPage>
    );
  }
  if (found.error) {
    return (
      <SettingsPage title={name}>
        <ErrorBox error={found.error} onRetry={() => void found.refetch()} />
      </SettingsPage>
    );
  }
  if (!found.data) {
    return (
      <SettingsPage title={name}>
        <div className={css.panel} aria-busy="true">
          <Bone width={40} />
          <Bone width={70} />
        </div>
      </SettingsPage>
    );
  }
  return <Found key={found.data.id} user={found.data} />;
}

function Found({ user }: { user: User }) {
  const { data: me } = useSuspenseQuery(meQuery);
  const { roles } = useMyRoles();
  const isMe = user.id === me.id;
  const mayChange = mayChangeUser(roles, user);
  const isOwner = roles.has("owner");
  const hasTokens = isOwner || (mayChange && user.login_type === "none");
  return (
    <SettingsPage
      title={user.name || user.username}
      lead={
        <>
          <bdi>{visible(user.username)}</bdi> ·{" "}
          {user.is_service_account ? "service account · " : ""}
          <Status user={user} /> · last seen <When at={user.last_seen_at} /> · made{" "}
          <When at={user.created_at} />
        </>
      }
    >
      {!mayChange && (
        <Panel title={isMe ? "This is you" : "You may look at this user"}>
          <p className={css.muted}>
            {isMe
              ? "Your own name and password are on the pages of your account."
              : user.roles.length > 0
                ? "Whoever has a role is changed by owners only."
                : "Owners and user admins change users."}
          </p>
        </Panel>
      )}
      {mayChange && <EditUser user={user} />}
      <SetRoles user={user} isMe={isMe} mayGrant={isOwner} />
      {mayChange && <SetPassword user={user} isMe={isMe} />}
      {hasTokens && (
        <>
          {mayChange && !isMe && <NewToken user={user.username} />}
          <Tokens user={user.username} label={`Tokens of ${visible(user.username)}`} />
        </>
      )}
      {mayChange && <Standing user={user} isMe={isMe} />}
    </SettingsPage>
  );
}
