// The primitives that every page is made of.
import {
  useEffect,
  useId,
  useRef,
  type ButtonHTMLAttributes,
  type InputHTMLAttributes,
  type ReactNode,
} from "react";

import { asError } from "../api/error";
import css from "./design.module.css";
import { absolute, age } from "./time";
import { useNow } from "./useNow";

export const classes = (...names: (string | false | undefined)[]) =>
  names.filter(Boolean).join(" ");

type Kind = "plain" | "primary" | "danger" | "dangerSolid" | "quiet";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: Kind;
  isIcon?: boolean;
}

export function buttonClass(kind: Kind = "plain", isIcon = false): string {
  return classes(css.button, kind !== "plain" && css[kind], isIcon && css.icon);
}

export function Button({ kind = "plain", isIcon = false, className, ...rest }: ButtonProps) {
  return (
    <button type="button" className={classes(buttonClass(kind, isIcon), className)} {...rest} />
  );
}

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
  hint?: string;
  wrong?: string;
}

/** A labelled input; hint and what is wrong are read out with it. */
export function Field({ label, hint, wrong, id, ...rest }: FieldProps) {
  const made = useId();
  const name = id ?? made;
  return (
    <div className={css.field}>
      <label className={css.label} htmlFor={name}>
        {label}
      </label>
      <input
        id={name}
        className={css.input}
        aria-invalid={Boolean(wrong)}
        aria-describedby={wrong || hint ? `${name}-note` : undefined}
        {...rest}
      />
      {wrong ? (
        <p id={`${name}-note`} className={css.wrong}>
          {wrong}
        </p>
      ) : (
        hint && (
          <p id={`${name}-note`} className={css.hint}>
            {hint}
          </p>
        )
      )}
    </div>
  );
}

export const inputClass = css.input!;
export const fieldClass = css.field!;
export const labelClass = css.label!;
export const hintClass = css.hint!;

export type Tone = "waiting" | "working" | "starting" | "idle" | "done" | "paused" | "failed";

export function Badge({
  tone,
  isPill = false,
  children,
}: {
  tone: Tone;
  isPill?: boolean;
  children: ReactNode;
}) {
  return (
    <span className={classes(css.badge, isPill && css.pill)} data-tone={tone}>
      <span className={css.dot} />
      {children}
    </span>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={css.empty}>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** What went wrong, why, and what to do next. */
export function ErrorBox({
  error,
  onRetry,
  children,
}: {
  error: unknown;
  onRetry?: () => void;
  children?: ReactNode;
}) {
  const told = asError(error);
  return (
    <div className={css.box} role="alert">
      <strong>{told.message}</strong>
      {told.detail && <p>{told.detail}</p>}
      {(onRetry || children) && (
        <div className={css.boxActions}>
          {onRetry && <Button onClick={onRetry}>Try again</Button>}
          {children}
        </div>
      )}
    </div>
  );
}

/** A box in the colours of an error, for what is no exception. */
export function Notice({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={css.box}>
      <strong>{title}</strong>
      {children}
    </div>
  );
}

/** A grey bar where text will be; width in percent. */
export function Bone({ width }: { width: number }) {
  return <span className={css.bone} style={{ width: `${width}%` }} />;
}

/** How long ago; the whole time in the tooltip. */
export function Time({ at }: { at: string }) {
  const now = useNow();
  const then = Date.parse(at);
  return (
    <time className={css.time} dateTime={at} title={absolute(then)}>
      {age(then, now)}
    </time>
  );
}

export function Kbd({ children }: { children: ReactNode }) {
  return <kbd className={css.kbd}>{children}</kbd>;
}

/** A modal dialog. The browser's own element: it keeps the focus inside and needs no inline style, which the policy forbids. */
export function Dialog({
  title,
  isOpen,
  onClose,
  children,
  actions,
}: {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  children: ReactNode;
  actions: ReactNode;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const name = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (!isOpen || !dialog) return;
    const before = document.activeElement;
    if (!dialog.open) dialog.showModal();
    // However it closes, the focus goes back to what opened it.
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, [isOpen]);
  if (!isOpen) return null;
  return (
    <dialog
      ref={ref}
      className={css.dialog}
      aria-labelledby={name}
      onClose={onClose}
      onClick={(event) => event.target === ref.current && onClose()}
    >
      <div className={css.dialogBody}>
        <h2 id={name}>{title}</h2>
        {children}
      </div>
      <div className={css.dialogActions}>{actions}</div>
    </dialog>
  );
}
