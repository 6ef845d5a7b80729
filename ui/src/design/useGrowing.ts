import { useLayoutEffect, useRef } from "react";

/** For a textarea that grows with its text, up to what the style sheet allows. */
export function useGrowing(text: string) {
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const field = area.current;
    if (!field) return;
    field.style.height = "auto";
    // What the border takes is not in the height of the text.
    field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
  }, [text]);
  return area;
}
