-- What was decided about the connections of workspaces, counted.

-- So many connections and requests of a workspace, to the same place and with the same end. Empty texts and port 0
-- stand for what there is none of: a port where the target was unreadable, a method where nobody read requests. An
-- empty host stands for all that came when the workspace had as many rows of this verdict as it may have.
create table workspace_network (
    workspace_id uuid not null references workspaces (id) on delete cascade,
    verdict text not null check (verdict in ('allowed', 'refused', 'failed')),
    host text not null check (length(host) <= 300),
    port integer not null check (port between 0 and 65535),
    method text not null check (length(method) <= 40),
    path text not null check (length(path) <= 300),
    reason text not null check (length(reason) <= 100),             -- a code word; ours, and later releases have more
    count bigint not null check (count >= 1),
    first_at timestamptz not null,
    last_at timestamptz not null,
    primary key (workspace_id, verdict, host, port, method, path, reason),
    check (last_at >= first_at)
);
