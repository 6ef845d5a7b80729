// What the tab is called: the page, and before it how many tasks wait for whoever is signed in.
import { useEffect } from "react";

import { visible } from "../design/text";

let page = "";
let waiting = 0;

function show(): void {
  const name = page ? `${page} · Taskyard` : "Taskyard";
  document.title = waiting ? `(${waiting}) ${name}` : name;
  const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  const wanted = waiting ? "/icon-waiting.svg" : "/icon.svg";
  if (icon && icon.getAttribute("href") !== wanted) icon.href = wanted;
}

/** Names the page that is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    page = visible(title);
    show();
  }, [title]);
}

/** Tells the tab how many tasks wait. */
export function setWaiting(count: number): void {
  waiting = count;
  show();
}
