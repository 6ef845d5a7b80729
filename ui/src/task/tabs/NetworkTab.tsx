// What the workspace tried to reach, and what became of it.
import { useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { useState } from "react";

import { buildInfoQuery } from "../../api/queries";
import type { NetworkDecision } from "../../api/types";
import { Badge, Empty, ErrorBox, Time } from "../../design";
import { visible } from "../../design/text";
import { countsOf, placeOf, reasonOf, requestOf, VERDICTS } from "./network";
import { networkQuery } from "./queries";
import css from "./tabs.module.css";
import { Waiting, type TabProps } from "./TaskTabs";

/** Milliseconds between looks while somebody looks: no stream tells of attempts, which come a second late anyway. */
const LOOK_MS = 5_000;

export default function NetworkTab({ task, isDeleted }: TabProps) {
  const [isRefusedOnly, setRefusedOnly] = useState(false);
  const { data: info } = useSuspenseQuery(buildInfoQuery);
  const network = useQuery({
    ...networkQuery(task.owner_name, task.id),
    enabled: !isDeleted,
    refetchInterval: LOOK_MS,
  });
  if (isDeleted) {
    return (
      <Empty title="This task was deleted">
        <p>What its workspace tried to reach went with it.</p>
      </Empty>
    );
  }
  if (!network.data) {
    if (!network.error) return <Waiting />;
    return (
      <div className={css.pad}>
        <ErrorBox error={network.error} onRetry={() => void network.refetch()} />
      </div>
    );
  }
  const { decisions, more } = network.data;
  if (decisions.length + more.length === 0) {
    return (
      <Empty
        title={info.confined === false ? "Nothing is written down" : "Nothing has been reached for"}
      >
        <p>
          {info.confined === false ? (
            "This server runs workspaces without walls: their programs reach whatever the server itself reaches."
          ) : (
            <>
              Programs in the workspace reach what the template lists under{" "}
              <code>network.egress</code>, and each attempt is counted here. Where it lists nothing,
              there is no network, and nothing is written down.
            </>
          )}
        </p>
      </Empty>
    );
  }
  const counts = countsOf([...decisions, ...more]);
  const shown = isRefusedOnly ? decisions.filter((one) => one.verdict === "refused") : decisions;
  const rest = isRefusedOnly ? more.filter((one) => one.verdict === "refused") : more;
  return (
    <div className={css.part}>
      <div className={css.bar}>
        <span className={`${css.grow} ${css.nums}`}>
          {counts.allowed} allowed, {counts.refused} refused, {counts.failed} failed
        </span>
        <label className={css.choice}>
          <input
            type="checkbox"
            checked={isRefusedOnly}
            onChange={(event) => setRefusedOnly(event.target.checked)}
          />
          Refused only
        </label>
      </div>
      <div className={css.scroll} role="region" aria-label="Attempts" tabIndex={0}>
        {shown.length + rest.length === 0 ? (
          <Empty title="Nothing was refused" />
        ) : (
          <table className={css.table}>
            <thead>
              <tr>
                <th scope="col">Verdict</th>
                <th scope="col">Place</th>
                <th scope="col">Reason</th>
                <th scope="col" className={css.number}>
                  Attempts
                </th>
                <th scope="col" className={css.number}>
                  Last
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((one) => (
                <Decision key={keyOf(one)} one={one} />
              ))}
              {rest.map((one) => (
                <tr key={`more ${one.verdict}`}>
                  <Verdict verdict={one.verdict} />
                  <td className={css.place}>Other places, too many to be kept one by one</td>
                  <td className={css.reason} />
                  <td className={`${css.number} ${css.count}`}>{one.count}</td>
                  <td className={css.number}>
                    <Time at={one.last_at} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </div>
  );
}

function Decision({ one }: { one: NetworkDecision }) {
  const [what, todo] = reasonOf(one.reason);
  const request = requestOf(one);
  return (
    <tr>
      <Verdict verdict={one.verdict} />
      <td className={css.place}>
        <div className={css.why}>
          <bdi className={css.mono}>{visible(placeOf(one))}</bdi>
          {request && (
            <small>
              <bdi className={css.mono}>{visible(request)}</bdi>
            </small>
          )}
        </div>
      </td>
      <td className={css.reason}>
        <div className={css.why}>
          <span title={one.reason}>{what}</span>
          {todo && <small>{todo}</small>}
        </div>
      </td>
      <td className={`${css.number} ${css.count}`}>
        {one.count}
        <span className="sr-only"> attempts</span>
      </td>
      <td className={css.number}>
        <Time at={one.last_at} />
      </td>
    </tr>
  );
}

function Verdict({ verdict }: { verdict: NetworkDecision["verdict"] }) {
  const [tone, word] = VERDICTS[verdict];
  return (
    <td className={css.verdict}>
      <Badge tone={tone}>{word}</Badge>
    </td>
  );
}

const keyOf = (one: NetworkDecision) =>
  [one.verdict, one.host, one.port, one.method, one.path, one.reason].join(" ");
