// What stands around every page once somebody is signed in.
import { useSuspenseQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouter } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

import { api } from "../api/client";
import { buildInfoQuery, meQuery, queryClient } from "../api/queries";
import { Button, Kbd } from "../design";
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine } from "../design/Menu";
import { setTheme, theme, type Theme } from "../design/theme";
import { tellError } from "../design/toast";
import { endLive } from "../live/browser";
import { useIsOffline } from "../live/useConnection";
import { forgetTasks } from "../tasks/live";
import { watchMine } from "../notices/browser";
import { mayAdmin, useMyRoles } from "./may";
import { NoticesItem } from "./Notices";
import css from "./shell.module.css";

export default function Shell() {
  const { data: me } = useSuspenseQuery(meQuery);
  const router = useRouter();
  useEffect(
    () => watchMine(me.username, (path) => router.history.push(path)),
    [me.username, router],
  );
  const { roles } = useMyRoles();
  return (
    <div className={css.shell}>
      <a className={css.skip} href="#main">
        Skip to the content
      </a>
      <header className={css.bar}>
        <Link to="/tasks" className={css.brand} aria-label="Taskyard, all tasks">
          <img src="/icon.svg" width="20" height="20" alt="" />
          <span>Taskyard</span>
        </Link>
        <nav className={css.nav} aria-label="Main">
          <Link to="/tasks" className={css.link} activeProps={{ "data-active": true }}>
            Tasks
          </Link>
          <Link to="/templates" className={css.link} activeProps={{ "data-active": true }}>
            Templates
          </Link>
          {mayAdmin(roles) && (
            <Link to="/admin" className={css.link} activeProps={{ "data-active": true }}>
              Admin
            </Link>
          )}
        </nav>
        <Search />
        <UserMenu name={me.name || me.username} email={me.email} />
      </header>
      <Banners />
      <main id="main" className={css.main} tabIndex={-1}>
        <Outlet />
      </main>
    </div>
  );
}

/** Finds tasks by name from anywhere; "/" goes there. On the list itself it filters while somebody types. */
function Search() {
  const router = useRouter();
  const navigate = useNavigate();
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  useEffect(
    () =>
      router.subscribe("onResolved", ({ toLocation }) => {
        const q = (toLocation.search as { q?: unknown }).q;
        if (document.activeElement !== input.current) setText(typeof q === "string" ? q : "");
      }),
    [router],
  );
  useEffect(() => {
    const q = (router.state.location.search as { q?: unknown }).q;
    setText(typeof q === "string" ? q : "");
    const press = (event: KeyboardEvent) => {
      const at = event.target as HTMLElement;
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)) return;
      event.preventDefault();
      input.current?.select();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [router]);
  const search = (q: string, replace: boolean) =>
    void navigate({
      to: "/tasks",
      search: (before: object) => ({ ...before, q: q || undefined }) as never,
      replace,
    });
  return (
    <form
      className={css.search}
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        search(text, false);
        document.getElementById("task-list")?.focus();
      }}
    >
      <input
        ref={input}
        type="search"
        aria-label="Search tasks"
        placeholder="Search tasks"
        aria-keyshortcuts="/"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          if (router.state.location.pathname === "/tasks") search(event.target.value, true);
        }}
        onKeyDown={(event) => event.key === "Escape" && input.current?.blur()}
      />
      <Kbd>/</Kbd>
    </form>
  );
}

const THEMES = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
] as const;

const ACCOUNT = [
  ["/account", "Profile"],
  ["/account/tokens", "Tokens"],
  ["/account/secrets", "Secrets"],
] as const;

function UserMenu({ name, email }: { name: string; email: string }) {
  const navigate = useNavigate();
  const [chosen, setChosen] = useState<Theme>(theme);
  const logout = async () => {
    try {
      await api.post("/api/v2/users/logout", {});
    } catch (error) {
      tellError(error);
      return;
    }
    endLive();
    forgetTasks();
    await navigate({ to: "/login" });
    queryClient.clear();
  };
  return (
    <Menu
      trigger={
        <Button kind="quiet" className={css.user} aria-label={`Account of ${name}`}>
          <span
            className={css.avatar}
            data-letter={name.slice(0, 1).toUpperCase()}
            aria-hidden="true"
          />
          <span className={css.userName}>{name}</span>
        </Button>
      }
    >
      <MenuLabel>{email || name}</MenuLabel>
      <MenuLine />
      {ACCOUNT.map(([to, title]) => (
        <MenuItem key={to} onSelect={() => void navigate({ to })}>
          {title}
        </MenuItem>
      ))}
      <MenuLine />
      <MenuLabel>Theme</MenuLabel>
      <MenuChoice
        value={chosen}
        options={THEMES}
        onChange={(value) => {
          setTheme(value as Theme);
          setChosen(value as Theme);
        }}
      />
      <MenuLine />
      <NoticesItem />
      <MenuLine />
      <MenuItem onSelect={() => void logout()}>Sign out</MenuItem>
    </Menu>
  );
}

function Banners() {
  const isOffline = useIsOffline();
  const { data: info } = useSuspenseQuery(buildInfoQuery);
  return (
    <div aria-live="polite">
      {isOffline && (
        <p className={css.banner}>
          <strong>No connection to the server.</strong> What you see may be old; it catches up by
          itself.
        </p>
      )}
      {info.confined === false && (
        <p className={css.banner} data-tone="danger">
          <strong>Workspaces are not confined on this server.</strong> A coding agent can read and
          change all that the server's account can. Start the server without{" "}
          <code>--allow-unconfined</code> to change that.
        </p>
      )}
    </div>
  );
}
