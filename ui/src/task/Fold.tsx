import type { ReactNode } from "react";

import css from "./entries.module.css";
import { useKept } from "./kept";

/** A line that opens; its content is made only then. */
export function Fold({
  summary,
  name = "fold",
  isOpen = false,
  tone,
  children,
}: {
  summary: ReactNode;
  name?: string;
  isOpen?: boolean;
  tone?: string;
  children: ReactNode;
}) {
  const [open, setOpen] = useKept(name, isOpen);
  return (
    <details
      className={css.fold}
      data-tone={tone}
      open={open}
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>{summary}</summary>
      {open && <div className={css.inside}>{children}</div>}
    </details>
  );
}
