// Forms of the account and of administration: fields by name, one button, what the server says to them.
import { useRef, useState, type FormEvent, type ReactNode } from "react";

import { Button, Dialog, ErrorBox, Field } from "../design";
import { unlessFields, wrongWith } from "./parts";
import css from "./settings.module.css";

/** What a form needs to know of the mutation that it begins. */
interface Saving {
  isPending: boolean;
  error: unknown;
  mutate: () => void;
}

/** What a Field takes. */
interface FieldOf {
  name: string;
  value: string;
  autoComplete: string;
  wrong: string;
  onChange: (event: { target: { value: string } }) => void;
}

interface FormProps {
  saving: Saving;
  verb: string;
  /** What the button says meanwhile. */
  busy?: string;
  /** Whether there is something to send, and nothing that is known to be wrong. */
  isReady?: boolean;
  children: ReactNode;
}

/** Fields by their names on the wire. was: what they held at first. */
export function useFields<T extends Record<string, string>>(was: T) {
  const [given, setGiven] = useState(was);
  const changed: Partial<T> = {};
  for (const name in was) if (given[name] !== was[name]) changed[name] = given[name];
  return {
    given,
    /** Those that differ from what they held at first. */
    changed,
    isChanged: Object.keys(changed).length > 0,
    set: (some: Partial<T>) => setGiven((before) => ({ ...before, ...some })),
    /** error: what the server said to the form. */
    field: (name: keyof T & string, error: unknown): FieldOf => ({
      name,
      value: given[name] ?? "",
      autoComplete: "off",
      wrong: wrongWith(error, name),
      onChange: (event: { target: { value: string } }) => {
        const { value } = event.target;
        setGiven((before) => ({ ...before, [name]: value }));
      },
    }),
  };
}

/** A form with one button. beside: what stands next to it. */
export function Form({
  saving,
  verb,
  busy = "Saving…",
  isReady = true,
  isPlain = false,
  beside,
  children,
}: FormProps & { isPlain?: boolean; beside?: ReactNode }) {
  return (
    <form className={css.form} onSubmit={sending(saving, isReady)}>
      {children}
      <Refusal error={saving.error} />
      <div className={css.buttons}>
        <Button
          kind={isPlain ? "plain" : "primary"}
          type="submit"
          disabled={!isReady || saving.isPending}
        >
          {saving.isPending ? busy : verb}
        </Button>
        {beside}
      </div>
    </form>
  );
}

/** A form that is a dialog of its own, open as long as it is there. */
export function FormDialog({
  title,
  saving,
  verb,
  busy = "Making…",
  isReady = true,
  onClose,
  children,
}: FormProps & { title: string; onClose: () => void }) {
  const form = useRef<HTMLFormElement>(null);
  return (
    <Dialog
      title={title}
      isOpen
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            kind="primary"
            disabled={!isReady || saving.isPending}
            onClick={() => form.current?.requestSubmit()}
          >
            {saving.isPending ? busy : verb}
          </Button>
        </>
      }
    >
      <form ref={form} className={css.form} onSubmit={sending(saving, isReady)}>
        {children}
        <Refusal error={saving.error} />
        {/* So that Enter sends it: the buttons that are seen stand outside of the form. */}
        <button type="submit" hidden />
      </form>
    </Dialog>
  );
}

/** How many workspaces may run at once; empty for the server's own limit. */
export function LimitField(given: FieldOf) {
  return (
    <Field
      label="Workspaces that may run at once"
      inputMode="numeric"
      hint="Empty: the server's own limit."
      {...given}
      wrong={limitProblem(given.value) || given.wrong}
    />
  );
}

/** What is wrong with a limit as typed; empty for nothing. */
export function limitProblem(typed: string): string {
  return /^\d{0,6}$/.test(typed) ? "" : "Give a whole number.";
}

/** A limit as it is shown in its field. */
export function limitWord(limit: number | undefined): string {
  return limit === undefined ? "" : String(limit);
}

/** What the server said, unless the fields say it already. */
function Refusal({ error }: { error: unknown }) {
  const told = unlessFields(error);
  return told === null ? null : <ErrorBox error={told} />;
}

function sending(saving: Saving, isReady: boolean) {
  return (event: FormEvent) => {
    event.preventDefault();
    if (isReady && !saving.isPending) saving.mutate();
  };
}
