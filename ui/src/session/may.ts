import { useQuery, useSuspenseQuery } from "@tanstack/react-query";

import { areasOf, rolesOf } from "../admin/areas";
import { meQuery, myRolesQuery } from "../api/queries";

/** Every role of whoever is signed in; those in organizations once the server has said them. */
export function useMyRoles(): { roles: ReadonlySet<string>; isSure: boolean } {
  const { data: me } = useSuspenseQuery(meQuery);
  const grants = useQuery(myRolesQuery);
  return { roles: rolesOf(me, grants.data), isSure: !grants.isPending };
}

/** Whether somebody has anything to look at in the admin pages. */
export function mayAdmin(roles: ReadonlySet<string>): boolean {
  return areasOf(roles).length > 0;
}
