import { DropdownMenu } from "radix-ui";
import type { ReactElement, ReactNode } from "react";

import css from "./design.module.css";

/** A menu on a button. Not modal: the modal one writes a style element, which the policy forbids. */
export function Menu({ trigger, children }: { trigger: ReactElement; children: ReactNode }) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className={css.menu} align="end" sideOffset={4} collisionPadding={8}>
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

export function MenuItem({
  onSelect,
  isDanger = false,
  isDisabled = false,
  title,
  children,
}: {
  onSelect: () => void;
  isDanger?: boolean;
  isDisabled?: boolean;
  title?: string | undefined;
  children: ReactNode;
}) {
  return (
    <DropdownMenu.Item
      className={css.menuItem}
      data-danger={isDanger}
      disabled={isDisabled}
      title={title}
      onSelect={onSelect}
    >
      {children}
    </DropdownMenu.Item>
  );
}

export function MenuChoice({
  value,
  onChange,
  options,
}: {
  value: string;
  onChange: (value: string) => void;
  options: readonly (readonly [value: string, label: string])[];
}) {
  return (
    <DropdownMenu.RadioGroup value={value} onValueChange={onChange}>
      {options.map(([word, label]) => (
        <DropdownMenu.RadioItem
          key={word}
          value={word}
          className={css.menuItem}
          onSelect={(event) => event.preventDefault()}
        >
          {label}
          <DropdownMenu.ItemIndicator>✓</DropdownMenu.ItemIndicator>
        </DropdownMenu.RadioItem>
      ))}
    </DropdownMenu.RadioGroup>
  );
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <DropdownMenu.Label className={css.menuLabel}>{children}</DropdownMenu.Label>;
}

export function MenuLine() {
  return <DropdownMenu.Separator className={css.menuLine} />;
}
