// The administration: beside each page, those that whoever is signed in may see.
import { useSuspenseQuery } from "@tanstack/react-query";
import { Navigate, useLocation } from "@tanstack/react-router";

import { Sections } from "../account/parts";
import { meQuery } from "../api/queries";
import { Bone } from "../design";
import { useTitle } from "../notices/title";
import { useMyRoles } from "../session/may";
import css from "../account/settings.module.css";
import { AREAS, areasOf, type Area } from "./areas";

export default function AdminPage() {
  const { roles, isSure } = useMyRoles();
  const path = useLocation({ select: (location) => location.pathname });
  const allowed = areasOf(roles);
  const area = path.split("/")[2] as Area | undefined;
  if (!area && allowed[0]) return <Navigate to={`/admin/${allowed[0]}`} replace />;
  const isAllowed = area ? allowed.includes(area) : false;
  if (!isAllowed && !isSure) {
    return (
      <div className={css.frame} aria-busy="true">
        <Bone width={60} />
      </div>
    );
  }
  if (!isAllowed) return <Forbidden />;
  return (
    <Sections
      label="Administration"
      items={AREAS.filter((one) => allowed.includes(one.area)).map(({ area, title }) => ({
        to: `/admin/${area}`,
        title,
      }))}
    />
  );
}

function Forbidden() {
  const { data: me } = useSuspenseQuery(meQuery);
  useTitle("Not for you to see");
  return (
    <div className={css.refused}>
      <h1>You may not see this</h1>
      <p>
        You are signed in as <bdi>{me.username}</bdi>, whose roles do not cover this page. An owner
        of the server can give you one that does, then load it again.
      </p>
      <p>
        <a href="/tasks">All tasks</a>
      </p>
    </div>
  );
}
