-- Servers that share a database, and which of them holds which workspace.

-- The key by which servers of one database know each other's requests; null until the first of this release starts.
alter table deployment add column peer_key bytea check (length(peer_key) = 32);

-- Data directories: each is served by one server at a time, and holds files of workspaces.
create table hosts (
    id uuid primary key,
    name text not null,                                             -- of the machine, as it was last
    joined_at timestamptz not null,
    seen_at timestamptz not null                                    -- when a server of it last gave a sign of life
);

-- Servers that run. Times are the database's: the servers' own clocks may differ. A row that has not moved for a
-- while is of a server that was killed.
create table servers (
    id uuid primary key,                                            -- another one at each start
    host_id uuid not null references hosts (id),
    name text not null,                                             -- of its machine
    url text not null,                                              -- where the other servers reach it
    roles text[] not null check (roles <@ array['api', 'worker']),
    version text not null,
    place text not null,                                            -- tells its data directory from all copies of it
    started_at timestamptz not null,
    seen_at timestamptz not null
);
create index servers_host on servers (host_id, seen_at);

-- On whose disk the files of a workspace are; null before its first start.
alter table workspaces add column host_id uuid;

-- Until now there was one data directory.
insert into hosts (id, name, joined_at, seen_at) select id, '', claimed_at, claimed_at from deployment;
update workspaces set host_id = (select id from deployment) where driver is not null;
