import { Tabs as Radix } from "radix-ui";
import { useEffect, useRef, type ReactNode } from "react";

import css from "./design.module.css";

export interface Tab {
  id: string;
  label: string;
  content: ReactNode;
  /** Stays mounted, unseen, so that it is found as it was left. */
  isKept?: boolean;
}

/** Panels of which one is seen; the others are not mounted. isFilling: the panel takes the height that is left. */
export function Tabs({
  label,
  tabs,
  value,
  onChange,
  isFilling = false,
}: {
  label: string;
  tabs: readonly Tab[];
  value: string;
  onChange: (id: string) => void;
  isFilling?: boolean;
}) {
  const list = useRef<HTMLDivElement>(null);
  // On a phone the list scrolls sideways.
  useEffect(() => {
    const chosen = list.current?.querySelector('[data-state="active"]');
    chosen?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [value]);
  return (
    <Radix.Root
      className={isFilling ? css.filling : undefined}
      value={value}
      onValueChange={onChange}
      activationMode="manual"
    >
      <Radix.List ref={list} className={css.tabs} aria-label={label}>
        {tabs.map((tab) => (
          <Radix.Trigger key={tab.id} value={tab.id} className={css.tab}>
            {tab.label}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map((tab) => (
        <Radix.Content
          key={tab.id}
          value={tab.id}
          className={isFilling ? css.panel : undefined}
          {...(tab.isKept ? { forceMount: true } : {})}
        >
          {tab.content}
        </Radix.Content>
      ))}
    </Radix.Root>
  );
}
