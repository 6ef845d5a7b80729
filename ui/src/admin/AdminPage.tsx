// The administration: beside each page, those that whoever is signed in may see.
import { useSuspenseQuery } from "@tanstack/react-query";
import { Navigate, useLocation } from "@tanstack/react-router";

import { Sections } from "../account/parts";
import { meQuery } from "../api/queries";
import { Bone } from "../design";
import { useTitle } from "../notices/title";
import { useMyRoles } from "../session/may";
import css from "../account/settings.module.css";
import { AREAS, areasOf, roleWords, type Area } from "./areas";

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
  if (!isAllowed) return <Forbidden area={area} />;
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

function Forbidden({ area }: { area: Area | undefined }) {
  const readers = AREAS.find((one) => one.area === area)?.readers;
  const { data: me } = useSuspenseQuery(meQuery);
  useTitle("Not for you to see");
  return (
    <div className={css.refused}>
      <h1>You may not see this</h1>
      <p>
        You are signed in as <bdi>{me.username}</bdi>, whose roles do not cover this page.{" "}
        {readers && `It takes the role ${readers.map(roleWords).join(" or ")}. `}
        An owner of the server gives roles; load the page again when you have one.
      </p>
      <p>
        <a href="/tasks">All tasks</a>
      </p>
    </div>
  );
}
