// Every address of the page. Each page is a chunk of its own.
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
  type ErrorComponentProps,
} from "@tanstack/react-router";

import { readAuditSearch } from "./admin/audit";
import { readUsersSearch } from "./admin/users";
import { ApiError } from "./api/client";
import { buildInfoQuery, firstUserQuery, meQuery, queryClient } from "./api/queries";
import { Button, Empty, ErrorBox } from "./design";
import { readNewTaskSearch } from "./new-task/search";
import css from "./router.module.css";
import { safeNext } from "./session/next";
import { readTab, type TabId } from "./task/tabs/tabs";
import { readSearch } from "./tasks/filter";
import { readTemplateSearch, readUploadSearch } from "./templates/search";
import { taskStore } from "./tasks/live";

const root = createRootRoute({
  component: Outlet,
  notFoundComponent: NotFound,
  errorComponent: Broken,
});

const setup = createRoute({
  getParentRoute: () => root,
  path: "/setup",
  beforeLoad: async () => {
    if (await queryClient.ensureQueryData(firstUserQuery)) throw redirect({ to: "/login" });
  },
  component: lazyRouteComponent(() => import("./session/SetupPage")),
});

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (given: Record<string, unknown>): { next?: string } =>
    typeof given["next"] === "string" ? { next: safeNext(given["next"]) } : {},
  beforeLoad: async () => {
    if (!(await queryClient.ensureQueryData(firstUserQuery))) throw redirect({ to: "/setup" });
  },
  component: lazyRouteComponent(() => import("./session/LoginPage")),
});

/** Everything that needs an account. */
const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  beforeLoad: async ({ location }) => {
    // On their way while the server says who asks.
    void import("./session/Shell");
    if (location.pathname === "/tasks") void import("./tasks/TasksPage");
    try {
      await Promise.all([
        queryClient.ensureQueryData(meQuery),
        queryClient.ensureQueryData(buildInfoQuery),
      ]);
      // The first rows are asked for while the page is still being loaded.
      if (location.pathname === "/tasks") taskStore();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      const next = location.href === "/" ? {} : { next: location.href };
      throw redirect({ to: "/login", search: next });
    }
  },
  component: lazyRouteComponent(() => import("./session/Shell")),
});

const home = createRoute({
  getParentRoute: () => inside,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/tasks" });
  },
});

export const tasksRoute = createRoute({
  getParentRoute: () => inside,
  path: "/tasks",
  validateSearch: readSearch,
  component: lazyRouteComponent(() => import("./tasks/TasksPage")),
});

const newTask = createRoute({
  getParentRoute: () => inside,
  path: "/tasks/new",
  validateSearch: readNewTaskSearch,
  component: lazyRouteComponent(() => import("./new-task/NewTaskPage")),
});

export const taskRoute = createRoute({
  getParentRoute: () => inside,
  path: "/tasks/$user/$task",
  validateSearch: (given: Record<string, unknown>): { tab?: TabId } => {
    const tab = readTab(given["tab"]);
    return tab === "conversation" ? {} : { tab };
  },
  component: lazyRouteComponent(() => import("./task/TaskPage")),
});

const templatePages = [
  createRoute({
    getParentRoute: () => inside,
    path: "/templates",
    component: lazyRouteComponent(() => import("./templates/TemplatesPage")),
  }),
  // No template is called new, so the word is free for a page.
  createRoute({
    getParentRoute: () => inside,
    path: "/templates/new",
    validateSearch: readUploadSearch,
    component: lazyRouteComponent(() => import("./templates/UploadPage")),
  }),
  createRoute({
    getParentRoute: () => inside,
    path: "/templates/$template",
    validateSearch: readTemplateSearch,
    component: lazyRouteComponent(() => import("./templates/TemplatePage")),
  }),
  createRoute({
    getParentRoute: () => inside,
    path: "/templates/$template/settings",
    validateSearch: readTemplateSearch,
    component: lazyRouteComponent(() => import("./templates/TemplateSettingsPage")),
  }),
  createRoute({
    getParentRoute: () => inside,
    path: "/templates/$template/versions/$version",
    validateSearch: readTemplateSearch,
    component: lazyRouteComponent(() => import("./templates/VersionPage")),
  }),
] as const;

const account = createRoute({
  getParentRoute: () => inside,
  path: "/account",
  component: lazyRouteComponent(() => import("./account/AccountPage")),
});

const accountPages = [
  createRoute({
    getParentRoute: () => account,
    path: "/",
    component: lazyRouteComponent(() => import("./account/ProfilePage")),
  }),
  createRoute({
    getParentRoute: () => account,
    path: "/tokens",
    component: lazyRouteComponent(() => import("./account/TokensPage")),
  }),
  createRoute({
    getParentRoute: () => account,
    path: "/secrets",
    component: lazyRouteComponent(() => import("./account/SecretsPage")),
  }),
  createRoute({
    getParentRoute: () => account,
    path: "/ssh-key",
    component: lazyRouteComponent(() => import("./account/SshKeyPage")),
  }),
] as const;

const admin = createRoute({
  getParentRoute: () => inside,
  path: "/admin",
  component: lazyRouteComponent(() => import("./admin/AdminPage")),
});

const adminPages = [
  createRoute({
    getParentRoute: () => admin,
    path: "/users",
    validateSearch: readUsersSearch,
    component: lazyRouteComponent(() => import("./admin/UsersPage")),
  }),
  createRoute({
    getParentRoute: () => admin,
    path: "/users/$user",
    component: lazyRouteComponent(() => import("./admin/UserPage")),
  }),
  createRoute({
    getParentRoute: () => admin,
    path: "/organizations",
    component: lazyRouteComponent(() => import("./admin/OrganizationsPage")),
  }),
  createRoute({
    getParentRoute: () => admin,
    path: "/organizations/$organization",
    validateSearch: readUsersSearch,
    component: lazyRouteComponent(() => import("./admin/OrganizationPage")),
  }),
  createRoute({
    getParentRoute: () => admin,
    path: "/tokens",
    component: lazyRouteComponent(() => import("./admin/TokensOfAllPage")),
  }),
  createRoute({
    getParentRoute: () => admin,
    path: "/audit",
    validateSearch: readAuditSearch,
    component: lazyRouteComponent(() => import("./admin/AuditPage")),
  }),
  createRoute({
    getParentRoute: () => admin,
    path: "/health",
    component: lazyRouteComponent(() => import("./admin/HealthPage")),
  }),
] as const;

export const router = createRouter({
  routeTree: root.addChildren([
    setup,
    login,
    inside.addChildren([
      home,
      tasksRoute,
      newTask,
      taskRoute,
      ...templatePages,
      account.addChildren(accountPages),
      admin.addChildren(adminPages),
    ]),
  ]),
  defaultPreload: "intent",
  defaultErrorComponent: Broken,
  // Quick answers are shown without anything in between.
  defaultPendingMs: 400,
  defaultPendingComponent: () => <div aria-busy="true" />,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

function NotFound() {
  return (
    <main className={css.alone}>
      <Empty title="There is no such page">
        <p>The address may be mistyped, or from another release.</p>
        <a href="/tasks">All tasks</a>
      </Empty>
    </main>
  );
}

function Broken({ error, reset }: ErrorComponentProps) {
  return (
    <div className={css.broken}>
      <ErrorBox error={error}>
        <Button
          onClick={() => {
            reset();
            void router.invalidate();
          }}
        >
          Try again
        </Button>
      </ErrorBox>
    </div>
  );
}
