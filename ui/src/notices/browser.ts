// Notices of the browser, and the count in the tab, of this browser's tabs together.
import { api } from "../api/client";
import type { TaskNews } from "../api/types";
import { liveHub } from "../live/browser";
import { MyTasks, shownOf, type Notice } from "./mine";
import { setWaiting } from "./title";

/** Milliseconds within which notices count as of one moment: what was missed comes in a burst. */
const MOMENT_MS = 1_000;

const CHOICE = "taskyard-notices";
const LOOKED_AT = "taskyard-looked-at";

export type Standing = "on" | "off" | "refused" | "impossible";

/** Whether this browser shows notices. */
export function noticeStanding(): Standing {
  // Browsers keep them from plain http, but for the machine itself.
  if (!isSecureContext || typeof Notification === "undefined") return "impossible";
  if (Notification.permission === "denied") return "refused";
  return Notification.permission === "granted" && localStorage.getItem(CHOICE) === "on"
    ? "on"
    : "off";
}

/** Asks whoever uses the browser, and keeps the answer for it. */
export async function turnNotices(isOn: boolean): Promise<Standing> {
  localStorage.setItem(CHOICE, isOn ? "on" : "off");
  if (isOn && Notification.permission === "default") await Notification.requestPermission();
  return noticeStanding();
}

/** Says which task is looked at, as long as it is, so that no tab tells of it. Gives back how to end that. */
export function lookAt(id: string): () => void {
  const say = () => {
    if (document.visibilityState === "visible" && document.hasFocus()) {
      localStorage.setItem(LOOKED_AT, id);
    } else if (localStorage.getItem(LOOKED_AT) === id) localStorage.removeItem(LOOKED_AT);
  };
  const end = () => {
    if (localStorage.getItem(LOOKED_AT) === id) localStorage.removeItem(LOOKED_AT);
  };
  const windowEvents = ["focus", "blur"];
  for (const name of windowEvents) addEventListener(name, say);
  addEventListener("pagehide", end);
  document.addEventListener("visibilitychange", say);
  say();
  return () => {
    for (const name of windowEvents) removeEventListener(name, say);
    removeEventListener("pagehide", end);
    document.removeEventListener("visibilitychange", say);
    end();
  };
}

/** Keeps count of my tasks and tells of them. go leads to a path of the page. Gives back how to end it. */
export function watchMine(owner: string, go: (path: string) => void): () => void {
  const mine = new MyTasks();
  const hub = liveHub();
  let notices: Notice[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let reading: AbortController | undefined;

  const begin = async () => {
    reading?.abort();
    reading = new AbortController();
    mine.expect();
    const query = { q: "owner:me status:active" };
    try {
      const { tasks } = await api.get("/api/v2/tasks", { query, signal: reading.signal });
      mine.begin(tasks);
      setWaiting(mine.waiting);
    } catch {
      // The count goes on from what was known; the page itself says that the server is away.
    }
  };
  const tell = () => {
    timer = undefined;
    const looked = localStorage.getItem(LOOKED_AT);
    const worth = notices.filter((notice) => notice.id !== looked);
    notices = [];
    if (!hub.leads || noticeStanding() !== "on") return;
    for (const { tag, title, body, path } of shownOf(worth)) {
      const shown = new Notification(title, { tag, body, icon: "/icon.svg" });
      shown.onclick = () => {
        window.focus();
        go(path);
        shown.close();
      };
    }
  };
  const leave = hub.subscribe((event) => {
    if (event.name === "reset") {
      void begin();
      return;
    }
    const news = JSON.parse(event.data) as TaskNews;
    if (news.task.owner_name !== owner) return;
    const notice = mine.hear(news);
    setWaiting(mine.waiting);
    if (!notice) return;
    notices.push(notice);
    timer ??= setTimeout(tell, MOMENT_MS);
  });
  void begin();
  return () => {
    leave();
    clearTimeout(timer);
    reading?.abort();
    setWaiting(0);
  };
}
