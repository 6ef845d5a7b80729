// What a build, its scripts and the workspace's agent wrote, as one log.
import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";

import type { WorkspaceBuild } from "../../api/types";
import { Button, Empty, ErrorBox } from "../../design";
import { absolute } from "../../design/time";
import { CopyButton } from "../Code";
import { logsOf } from "./followLog";
import { LineView } from "./LineView";
import { asText, graveOnly, type LogLine } from "./logLines";
import { buildsQuery } from "./queries";
import css from "./tabs.module.css";
import { Waiting, type TabProps } from "./TaskTabs";
import { useLogs } from "./useLogs";

/** Pixels from the end within which the page follows what comes. */
const NEAR = 40;

const VERBS = { start: "start", stop: "stop", delete: "delete" } as const;

export default function LogTab({ task, isDeleted }: TabProps) {
  const workspace = task.workspace_id ?? "";
  const isThere = workspace !== "" && !isDeleted;
  const builds = useQuery({ ...buildsQuery(workspace), enabled: isThere });
  const [chosen, setChosen] = useState("");
  // A pause or a resume makes a build, which no stream tells of by name.
  const { refetch } = builds;
  useEffect(() => {
    if (isThere) void refetch();
  }, [
    isThere,
    refetch,
    task.workspace_build_number,
    task.workspace_status,
    task.workspace_agent_id,
  ]);
  if (!isThere) {
    return (
      <Empty title="There is no log">
        <p>The workspace was deleted, and what it wrote went with it.</p>
      </Empty>
    );
  }
  if (!builds.data) {
    if (!builds.error) return <Waiting />;
    return (
      <div className={css.pad}>
        <ErrorBox error={builds.error} onRetry={() => void builds.refetch()} />
      </div>
    );
  }
  const build = builds.data.find((one) => one.id === chosen) ?? builds.data[0];
  if (!build) return <Empty title="Nothing has been built yet" />;
  return <BuildLog key={build.id} build={build} builds={builds.data} onChoose={setChosen} />;
}

function BuildLog({
  build,
  builds,
  onChoose,
}: {
  build: WorkspaceBuild;
  builds: readonly WorkspaceBuild[];
  onChoose: (id: string) => void;
}) {
  const { lines: all, isRead, error } = useLogs(logsOf(build));
  const [isGraveOnly, setGraveOnly] = useState(false);
  const lines = useMemo(() => (isGraveOnly ? graveOnly(all) : all), [all, isGraveOnly]);
  return (
    <div className={css.part}>
      <div className={css.bar}>
        <select
          className={css.select}
          aria-label="Build"
          value={build.id}
          onChange={(event) => onChoose(event.target.value)}
        >
          {builds.map((one) => (
            <option key={one.id} value={one.id}>
              {`Build ${one.build_number}: ${VERBS[one.transition]}, ${absolute(Date.parse(one.created_at))}`}
            </option>
          ))}
        </select>
        <label className={css.choice}>
          <input
            type="checkbox"
            checked={isGraveOnly}
            onChange={(event) => setGraveOnly(event.target.checked)}
          />
          Warnings and errors only
        </label>
        <span className={`${css.grow} ${css.nums}`}>
          {lines.length === 1 ? "1 line" : `${lines.length.toLocaleString()} lines`}
        </span>
        {lines.length > 0 && <CopyButton text={() => asText(lines)} label="Copy all" />}
      </div>
      {error !== null && (
        <div className={css.pad}>
          <ErrorBox error={error} />
        </div>
      )}
      {lines.length === 0 ? (
        !isRead && error === null ? (
          <Waiting />
        ) : (
          <Empty title={isGraveOnly ? "No warnings and no errors" : "Nothing was written"} />
        )
      ) : (
        <Lines lines={lines} />
      )}
    </div>
  );
}

function Lines({ lines }: { lines: readonly LogLine[] }) {
  const scroller = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const [isAway, setAway] = useState(false);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 20,
    overscan: 30,
    paddingStart: 8,
    paddingEnd: 8,
  });
  const height = virtual.getTotalSize();
  const toEnd = () => {
    const box = scroller.current;
    if (box) box.scrollTop = box.scrollHeight;
  };
  useLayoutEffect(() => {
    if (isAtEnd.current) toEnd();
  }, [lines, height]);
  return (
    <div className={css.logBox}>
      <div
        ref={scroller}
        className={css.scroll}
        role="log"
        aria-live="off"
        aria-label="Log"
        tabIndex={0}
        onScroll={({ currentTarget: box }) => {
          isAtEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
          setAway(!isAtEnd.current);
        }}
      >
        <div className={`${css.rows} ${css.mono}`} style={{ height }}>
          {virtual.getVirtualItems().map((item) => (
            <div
              key={item.key}
              ref={virtual.measureElement}
              data-index={item.index}
              className={css.row}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <LineView line={lines[item.index]!} />
            </div>
          ))}
        </div>
      </div>
      {isAway && (
        <Button
          className={css.toEnd}
          onClick={() => {
            isAtEnd.current = true;
            toEnd();
          }}
        >
          To the end
        </Button>
      )}
    </div>
  );
}
