// Short news at the corner: what was done, or why it was not.
import { useSyncExternalStore } from "react";

import { asError } from "../api/error";
import { Button } from ".";
import css from "./design.module.css";

interface Toast {
  id: number;
  tone: "news" | "error";
  title: string;
  detail: string;
}

/** Milliseconds that news stay; errors stay until they are closed. */
const STAY_MS = 5_000;

let toasts: readonly Toast[] = [];
let next = 1;
const watchers = new Set<() => void>();

function become(changed: readonly Toast[]): void {
  toasts = changed;
  for (const watcher of watchers) watcher();
}

function close(id: number): void {
  become(toasts.filter((toast) => toast.id !== id));
}

function add(tone: Toast["tone"], title: string, detail: string): number {
  const id = next++;
  become([...toasts.slice(-3), { id, tone, title, detail }]);
  return id;
}

export function tell(title: string, detail = ""): void {
  const id = add("news", title, detail);
  setTimeout(() => close(id), STAY_MS);
}

export function tellError(error: unknown): void {
  const told = asError(error);
  add("error", told.message, told.detail);
}

function watch(tell: () => void): () => void {
  watchers.add(tell);
  return () => watchers.delete(tell);
}

export function Toasts() {
  const shown = useSyncExternalStore(watch, () => toasts);
  return (
    <div className={css.toasts} role="status" aria-live="polite">
      {shown.map((toast) => (
        <div key={toast.id} className={css.toast} data-tone={toast.tone}>
          <div>
            {toast.title}
            {toast.detail && <p>{toast.detail}</p>}
          </div>
          <Button kind="quiet" isIcon aria-label="Close" onClick={() => close(toast.id)}>
            ✕
          </Button>
        </div>
      ))}
    </div>
  );
}
