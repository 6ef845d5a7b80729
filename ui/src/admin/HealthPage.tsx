// How the server is: what is wrong first, then who does the work and how much there is of it.
import { useQuery } from "@tanstack/react-query";

import type { ReactNode } from "react";

import { SettingsPage, When } from "../account/parts";
import settings from "../account/settings.module.css";
import { Table, type Column } from "../account/Table";
import type { Health } from "../api/types";
import { Badge, Bone, ErrorBox } from "../design";
import { visible } from "../design/text";
import { bytes, fullness, milliseconds, outOf } from "./health";
import css from "./health.module.css";
import { healthQuery } from "./queries";

type Server = Health["servers"][number];
type Worker = Health["workers"][number];
type Driver = Health["drivers"][number];

export default function HealthPage() {
  const health = useQuery(healthQuery);
  const seen = health.data;
  return (
    <SettingsPage
      title="Health"
      lead={
        seen ? (
          <>
            Taskyard {visible(seen.version)}, looked at <When at={seen.at} />. It looks again every
            few seconds.
          </>
        ) : (
          "Looking…"
        )
      }
    >
      {health.error && (
        <ErrorBox error={health.error} onRetry={() => void health.refetch()}>
          {seen && <span className={settings.small}>What is below is of the last answer.</span>}
        </ErrorBox>
      )}
      {seen ? <Seen seen={seen} /> : !health.error && <Waiting />}
    </SettingsPage>
  );
}

function Seen({ seen }: { seen: Health }) {
  return (
    <>
      <Problems problems={seen.problems} />
      <Tiles seen={seen} />
      <Part title="Servers">
        <Table
          label="Servers"
          columns={SERVERS}
          rows={seen.servers}
          rowKey={(server) => server.id}
          empty="None has said that it is there."
        />
      </Part>
      <Part title="Workers">
        <Table
          label="Workers"
          columns={WORKERS}
          rows={seen.workers}
          rowKey={(worker) => worker.id}
          empty="None: jobs wait until a server with the role worker is there."
        />
      </Part>
      <Part title="Drivers">
        <Table
          label="Drivers"
          columns={DRIVERS}
          rows={seen.drivers}
          rowKey={(driver) => driver.name}
          empty="The server that answers runs no workspaces."
        />
      </Part>
    </>
  );
}

/** What is wrong and what to do about it, errors first as they come. Said aloud when it changes. */
function Problems({ problems }: { problems: Health["problems"] }) {
  return (
    <div className={css.problems} role="status" aria-label="What is wrong">
      {problems.map((problem) => (
        <div
          key={`${problem.code} ${problem.what}`}
          className={css.problem}
          data-severity={problem.severity}
        >
          <strong>
            <span className="sr-only">
              {problem.severity === "error" ? "Error: " : "Warning: "}
            </span>
            {visible(problem.what)}
          </strong>
          <p>{visible(problem.action)}</p>
        </div>
      ))}
      {problems.length === 0 && <p className={css.good}>Everything works</p>}
    </div>
  );
}

function Tiles({ seen }: { seen: Health }) {
  const { workspaces, jobs, database, disk } = seen;
  const full = disk && fullness(disk.free_bytes, disk.size_bytes);
  return (
    <dl className={css.tiles}>
      <Tile
        title="Workspaces running"
        value={outOf(workspaces.running, workspaces.max_running)}
        note={workspaces.waiting ? `${workspaces.waiting} wait for room` : "none waits for room"}
      />
      <Tile
        title="Jobs queued"
        value={String(jobs.queued)}
        note={
          jobs.oldest_queued_at ? (
            <>
              the oldest <When at={jobs.oldest_queued_at} />
            </>
          ) : (
            `${jobs.running} at work`
          )
        }
      />
      <Tile
        title="Database answers in"
        value={milliseconds(database.latency_ms)}
        note={`Postgres ${visible(database.version)}, ${bytes(database.size_bytes)}`}
      />
      {disk && (
        <Tile
          title="Free on the disk"
          value={bytes(disk.free_bytes)}
          note={<bdi title={disk.path}>{full === null ? disk.path : `${full} % is full`}</bdi>}
        />
      )}
    </dl>
  );
}

function Tile({ title, value, note }: { title: string; value: string; note: ReactNode }) {
  return (
    <div className={css.tile}>
      <dt>{title}</dt>
      <dd className={css.value}>{value}</dd>
      <dd className={css.note}>{note}</dd>
    </div>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className={css.part}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Presence({ status }: { status: Server["status"] }) {
  return status === "up" ? <Badge tone="done">Up</Badge> : <Badge tone="failed">Away</Badge>;
}

const SERVERS: Column<Server>[] = [
  {
    title: "Server",
    kind: "main",
    cell: (server) => (
      <>
        <bdi className={settings.main}>{visible(server.hostname)}</bdi>
        <span className={settings.sub}>{server.roles.join(", ") || "ended"}</span>
      </>
    ),
  },
  { title: "Status", cell: (server) => <Presence status={server.status} /> },
  { title: "Version", cell: (server) => visible(server.version) || "–" },
  { title: "Workspaces", kind: "number", cell: (server) => server.workspaces },
  { title: "Connected", kind: "number", cell: (server) => server.links },
  {
    title: "Started",
    kind: "time",
    cell: (server) => (server.started_at ? <When at={server.started_at} /> : "–"),
  },
  { title: "Heard of", kind: "time", cell: (server) => <When at={server.last_seen_at} /> },
];

const WORKERS: Column<Worker>[] = [
  {
    title: "Worker",
    kind: "main",
    cell: (worker) => <bdi className={settings.main}>{visible(worker.name)}</bdi>,
  },
  { title: "Status", cell: (worker) => <Presence status={worker.status} /> },
  {
    title: "Jobs at work",
    kind: "number",
    cell: (worker) => outOf(worker.running, worker.capacity),
  },
  { title: "Heard of", kind: "time", cell: (worker) => <When at={worker.last_seen_at} /> },
];

const DRIVERS: Column<Driver>[] = [
  {
    title: "Driver",
    kind: "main",
    cell: (driver) => (
      <>
        <span className={settings.main}>{visible(driver.name)}</span>
        <span className={settings.sub}>{visible(driver.mode)}</span>
      </>
    ),
  },
  {
    title: "Walls",
    cell: (driver) => (
      <>
        <Badge tone={driver.confined ? "done" : "failed"}>
          {driver.confined ? "Confined" : "Without walls"}
        </Badge>
        {driver.problem && <span className={settings.sub}>{visible(driver.problem)}</span>}
      </>
    ),
  },
  {
    title: "Limits it holds",
    cell: (driver) => driver.limits.map(visible).join(", ") || "none",
  },
];

function Waiting() {
  return (
    <div className={css.tiles} role="status" aria-busy="true" aria-label="Looking">
      {[1, 2, 3, 4].map((one) => (
        <div key={one} className={css.tile}>
          <Bone width={60} />
          <Bone width={40} />
          <Bone width={70} />
        </div>
      ))}
    </div>
  );
}
