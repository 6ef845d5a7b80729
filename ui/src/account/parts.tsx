// What the pages of the account and of administration are made of.
import { Link, Outlet, useLocation } from "@tanstack/react-router";
import {
  useEffect,
  useId,
  useRef,
  useState,
  type InputHTMLAttributes,
  type ReactNode,
} from "react";

import { ApiError } from "../api/client";
import { Button, Dialog, ErrorBox, Field, fieldClass, inputClass, labelClass } from "../design";
import { copy } from "../design/copy";
import { visible } from "../design/text";
import { absolute } from "../design/time";
import { useNow } from "../design/useNow";
import { useTitle } from "../notices/title";
import css from "./settings.module.css";
import { isNever, when } from "./words";

/** Milliseconds that a button says it has copied. */
const COPIED_MS = 1500;

/** What the server found wrong with one field of what was sent; empty for nothing. */
export function wrongWith(error: unknown, field: string): string {
  return error instanceof ApiError ? error.field(field) : "";
}

/** The error, unless the fields of the form say it already. */
export function unlessFields(error: unknown): unknown {
  return error instanceof ApiError && error.validations.length > 0 ? null : error;
}

export interface Section {
  to: string;
  title: string;
}

/** The pages of one area beside the one that is open. */
export function Sections({ label, items }: { label: string; items: readonly Section[] }) {
  const nav = useRef<HTMLElement>(null);
  const path = useLocation({ select: (location) => location.pathname });
  useEffect(() => {
    // On a phone they stand in one line that is longer than the screen.
    nav.current
      ?.querySelector("[data-active]")
      ?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [path]);
  return (
    <div className={css.frame}>
      <nav ref={nav} className={css.side} aria-label={label}>
        <p className={css.sideTitle}>{label}</p>
        <ul>
          {items.map(({ to, title }) => (
            <li key={to}>
              <Link
                to={to}
                activeOptions={{ exact: to === "/account", includeSearch: false }}
                activeProps={{ "data-active": true }}
              >
                {title}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <Outlet />
    </div>
  );
}

/** One page of an area. title: its one h1, which names the tab of the browser too. */
export function SettingsPage({
  title,
  lead,
  actions,
  children,
}: {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  useTitle(title);
  return (
    <div className={css.content}>
      <header className={css.head}>
        <div className={css.headText}>
          <h1>
            <bdi>{visible(title)}</bdi>
          </h1>
          {lead && <p>{lead}</p>}
        </div>
        {actions && <div className={css.headActions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

export function Panel({
  title,
  lead,
  children,
}: {
  title: string;
  lead?: ReactNode;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <section className={css.panel} aria-labelledby={id}>
      <div className={css.panelHead}>
        <h2 id={id}>{title}</h2>
        {lead && <p>{lead}</p>}
      </div>
      {children}
    </section>
  );
}

/** A time before or after now in a few words; the whole of it in the tooltip. */
export function When({ at, never }: { at: string; never?: string }) {
  const now = useNow();
  if (isNever(at)) return <span>{never ?? "never"}</span>;
  return (
    <time dateTime={at} title={absolute(Date.parse(at))}>
      {when(at, now)}
    </time>
  );
}

/** A text that people take elsewhere, with what copies it. */
export function CopyBox({ label, text }: { label: string; text: string }) {
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    if (!isDone) return;
    const timer = setTimeout(() => setDone(false), COPIED_MS);
    return () => clearTimeout(timer);
  }, [isDone]);
  return (
    <div className={css.copy} role="group" aria-label={label}>
      <pre tabIndex={0}>{text}</pre>
      <Button onClick={() => void copy(text).then(() => setDone(true))}>
        {isDone ? "Copied" : "Copy"}
      </Button>
    </div>
  );
}

/** Asks once more before what cannot be taken back. typed: what has to be written for it. */
export function Confirm({
  title,
  verb,
  keep = "Keep",
  typed,
  isOpen,
  isBusy,
  error,
  onClose,
  onConfirm,
  children,
}: {
  title: string;
  verb: string;
  keep?: string;
  typed?: string;
  isOpen: boolean;
  isBusy: boolean;
  error: unknown;
  onClose: () => void;
  onConfirm: () => void;
  children: ReactNode;
}) {
  const [given, setGiven] = useState("");
  useEffect(() => {
    if (!isOpen) setGiven("");
  }, [isOpen]);
  const isReady = typed === undefined || given === typed;
  return (
    <Dialog
      title={title}
      isOpen={isOpen}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose} autoFocus={typed === undefined}>
            {keep}
          </Button>
          <Button kind="dangerSolid" disabled={isBusy || !isReady} onClick={onConfirm}>
            {isBusy ? "One moment…" : verb}
          </Button>
        </>
      }
    >
      {children}
      {typed !== undefined && (
        <Field
          label={`Write ${visible(typed)} to confirm`}
          value={given}
          autoFocus
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          onChange={(event) => setGiven(event.target.value)}
          onKeyDown={(event) => event.key === "Enter" && isReady && !isBusy && onConfirm()}
        />
      )}
      {error !== null && error !== undefined && <ErrorBox error={error} />}
    </Dialog>
  );
}

/** A labelled choice of words. */
export function Choice({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: string;
  options: readonly (readonly [value: string, label: string])[];
  onChange: (value: string) => void;
}) {
  const id = useId();
  return (
    <div className={fieldClass}>
      <label className={labelClass} htmlFor={id}>
        {label}
      </label>
      <select
        id={id}
        className={inputClass}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      >
        {options.map(([word, text]) => (
          <option key={word} value={word}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

/** A box or a button to choose by, with a sentence on what it means, which is read out after its name. */
export function Option({
  label,
  hint,
  ...rest
}: { label: string; hint: string } & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  return (
    <div className={css.choice}>
      <input id={id} aria-describedby={`${id}-note`} {...rest} />
      <label htmlFor={id}>{label}</label>
      <small id={`${id}-note`}>{hint}</small>
    </div>
  );
}
