// One log of a build or of an agent: what there is at once, then what comes, until nothing more can.
import { api } from "../../api/client";
import type { components } from "../../api/schema";
import type { WorkspaceBuild } from "../../api/types";
import { backoff } from "../../live/backoff";
import { socketAddress } from "./line";
import type { LogBook, LogLine } from "./logLines";

type Schemas = components["schemas"];
type Line = Omit<LogLine, "log">;

export interface Log {
  key: string;
  /** The address of the log, which is that of its WebSocket as well. */
  path: string;
  read(after: number, signal: AbortSignal): Promise<Line[]>;
  /** The lines in a message of the WebSocket. */
  parse(message: unknown): Line[];
}

export function logsOf(build: WorkspaceBuild): Log[] {
  const agents = build.resources.flatMap((resource) => resource.agents ?? []);
  return [logOfBuild(build.id), ...agents.map(logOfAgent)];
}

const ofJob = (one: Schemas["ProvisionerJobLog"]): Line => ({
  id: one.id,
  at: Date.parse(one.created_at),
  level: one.log_level,
  source: one.stage,
  text: one.output,
});

const inMessage = (message: unknown) => [ofJob(message as Schemas["ProvisionerJobLog"])];

function logOfBuild(build: string): Log {
  return {
    key: build,
    path: `/api/v2/workspacebuilds/${build}/logs`,
    read: async (after, signal) => {
      const options = { path: { build }, query: { after }, signal };
      return (await api.get("/api/v2/workspacebuilds/{build}/logs", options)).map(ofJob);
    },
    parse: inMessage,
  };
}

/** The log of the import that a version of a template comes from. */
export function logOfImport(version: string): Log {
  return {
    key: version,
    path: `/api/v2/templateversions/${version}/logs`,
    read: async (after, signal) => {
      const options = { path: { version }, query: { after }, signal };
      return (await api.get("/api/v2/templateversions/{version}/logs", options)).map(ofJob);
    },
    parse: inMessage,
  };
}

function logOfAgent(agent: Schemas["WorkspaceAgent"]): Log {
  const names = new Map(agent.log_sources.map((one) => [one.id, one.display_name] as const));
  const line = (one: Schemas["WorkspaceAgentLog"]): Line => ({
    id: one.id,
    at: Date.parse(one.created_at),
    level: one.level,
    source: names.get(one.source_id) || "agent",
    text: one.output,
  });
  return {
    key: agent.id,
    path: `/api/v2/workspaceagents/${agent.id}/logs`,
    read: async (after, signal) => {
      const options = { path: { agent: agent.id }, query: { after }, signal };
      return (await api.get("/api/v2/workspaceagents/{agent}/logs", options)).map(line);
    },
    parse: (message) => (message as Schemas["WorkspaceAgentLog"][]).map(line),
  };
}

/** How a log is sent to its end. */
const WHOLE = 1000;

export interface Telling {
  /** The lines that were there are read. */
  onRead(): void;
  /** It could not be read; null once it can. */
  onError(error: unknown): void;
}

/** Reads and follows a log until the function it gives back is called. */
export function followLog(log: Log, book: LogBook, telling: Telling): () => void {
  const ending = new AbortController();
  let socket: WebSocket | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;

  const later = () => {
    if (ending.signal.aborted) return;
    timer = setTimeout(() => void read(), backoff(attempt++, Math.random));
  };

  const follow = () => {
    const address = `${log.path}?follow=true&after=${book.last(log.key)}`;
    const opened = new WebSocket(socketAddress(address, location));
    socket = opened;
    opened.onopen = () => (attempt = 0);
    opened.onmessage = ({ data }) => book.add(log.key, log.parse(JSON.parse(String(data))));
    opened.onclose = ({ code }) => {
      if (code !== WHOLE) later();
    };
  };

  const read = async () => {
    try {
      book.add(log.key, await log.read(book.last(log.key), ending.signal));
      telling.onError(null);
      telling.onRead();
      if (!ending.signal.aborted) follow();
    } catch (error) {
      if (ending.signal.aborted) return;
      telling.onError(error);
      later();
    }
  };

  void read();
  return () => {
    ending.abort();
    clearTimeout(timer);
    if (socket) socket.onclose = null;
    socket?.close();
  };
}
