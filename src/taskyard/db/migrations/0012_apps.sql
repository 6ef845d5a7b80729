-- What lets a browser see an app of a workspace: first a ticket that is good once, then the cookie it was given for.

create table app_visits (
    id uuid primary key,
    workspace_id uuid not null references workspaces (id) on delete cascade,
    generation integer not null,                                    -- of the workspace: another start, another visit
    slug text not null,
    key_id text not null references api_keys (id) on delete cascade, -- signed out is out of apps too
    ticket_hash bytea unique check (length(ticket_hash) = 32),      -- null once it was used
    cookie_hash bytea unique check (length(cookie_hash) = 32),      -- null until then
    created_at timestamptz not null,
    expires_at timestamptz not null,
    check ((ticket_hash is null) <> (cookie_hash is null))
);
create index app_visits_expire on app_visits (expires_at);
create index app_visits_workspaces on app_visits (workspace_id);
create index app_visits_keys on app_visits (key_id);
