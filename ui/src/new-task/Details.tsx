import { useState, type ReactNode } from "react";

import css from "./new.module.css";

/** What most people need not look at. isNeeded: opens it; it stays open until somebody closes it. */
export function Details({
  summary,
  isNeeded,
  children,
}: {
  summary: string;
  isNeeded: boolean;
  children: ReactNode;
}) {
  const [isOpen, setOpen] = useState(isNeeded);
  return (
    <details
      className={css.fold}
      open={isOpen || isNeeded}
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>{summary}</summary>
      <div className={css.folded}>{children}</div>
    </details>
  );
}
