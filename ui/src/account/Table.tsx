// A table that is a list of cards on a phone. Roles are said outright, as other displays take them away.
import type { ReactNode } from "react";

import { Bone } from "../design";
import css from "./settings.module.css";

export interface Column<Row> {
  /** Above the column; empty for what needs no words. */
  title: string;
  cell: (row: Row) => ReactNode;
  kind?: "main" | "time" | "number" | "actions";
}

/** Rows shown as bars before the first answer. */
const BONES = [62, 48, 70, 54];

export function Table<Row>({
  label,
  columns,
  rows,
  rowKey,
  empty,
}: {
  label: string;
  columns: readonly Column<Row>[];
  /** undefined: not known yet. */
  rows: readonly Row[] | undefined;
  rowKey: (row: Row) => string;
  empty: ReactNode;
}) {
  return (
    <div className={css.tableBox} aria-busy={rows === undefined}>
      <table className={css.table} role="table" aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map(({ title, kind }) => (
              <th key={title} role="columnheader" scope="col" data-kind={kind}>
                {title || <span className="sr-only">Actions</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows?.map((row) => (
            <tr key={rowKey(row)} role="row">
              {columns.map(({ title, kind, cell }) => (
                <td key={title} role="cell" data-kind={kind} data-title={title}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
          {rows === undefined &&
            BONES.map((width) => (
              <tr key={width} role="row">
                <td role="cell" colSpan={columns.length} data-kind="main">
                  <Bone width={width} />
                </td>
              </tr>
            ))}
        </tbody>
      </table>
      {rows?.length === 0 && <div className={css.tableEmpty}>{empty}</div>}
    </div>
  );
}
