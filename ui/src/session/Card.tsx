import type { ReactNode } from "react";

import { useTitle } from "../notices/title";
import css from "./session.module.css";

/** The page around a form before anybody is signed in. */
export function Card({
  title,
  lead,
  children,
}: {
  title: string;
  lead: string;
  children: ReactNode;
}) {
  useTitle(title);
  return (
    <main className={css.page}>
      <div className={css.card}>
        <div className={css.brand}>
          <img src="/icon.svg" width="24" height="24" alt="" />
          Taskyard
        </div>
        <div className={css.head}>
          <h1>{title}</h1>
          <p>{lead}</p>
        </div>
        {children}
      </div>
    </main>
  );
}
