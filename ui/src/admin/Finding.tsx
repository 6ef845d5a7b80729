// How long lists are searched, and paged through.
import { useEffect, useState } from "react";

import css from "../account/settings.module.css";
import { Button, Field } from "../design";
import { PAGE_SIZE } from "./users";

/** Milliseconds after the last key before the server is asked. */
const TYPING_MS = 250;

/** What is typed is shown at once, and asked for when the typing stops. */
export function SearchField({
  value,
  onChange,
}: {
  value: string;
  onChange: (text: string) => void;
}) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onChange(text), TYPING_MS);
    return () => clearTimeout(timer);
  });
  return (
    <Field
      label="Search"
      type="search"
      value={text}
      placeholder="Name or email"
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => setText(event.target.value)}
    />
  );
}

export function Pager({
  page,
  shown,
  total,
  word,
  onPage,
}: {
  page: number;
  shown: number;
  total: number;
  /** What is counted, as of several. */
  word: string;
  onPage: (page: number) => void;
}) {
  const first = (page - 1) * PAGE_SIZE + 1;
  const isOne = page === 1 && total <= PAGE_SIZE;
  return (
    <nav className={css.pager} aria-label="Pages">
      <span aria-live="polite">
        {shown === 0
          ? `${total} in all`
          : isOne
            ? `${total} ${total === 1 ? word.slice(0, -1) : word}`
            : `${first}–${first + shown - 1} of ${total}`}
      </span>
      {!isOne && (
        <span className={css.buttons}>
          <Button disabled={page === 1} onClick={() => onPage(page - 1)}>
            Previous
          </Button>
          <Button disabled={page * PAGE_SIZE >= total} onClick={() => onPage(page + 1)}>
            Next
          </Button>
        </span>
      )}
    </nav>
  );
}
