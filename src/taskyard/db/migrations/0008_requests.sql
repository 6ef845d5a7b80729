-- Requests made once by their key, an audit that is only added to, and how long things are kept.

-- A request that was sent with a key, from when its work began. Whoever has done something for it has said so here, in
-- the transaction that did it: so nothing is done twice, whichever server dies at which moment.
create table idempotency_keys (
    id uuid primary key,
    owner_id uuid not null,                                         -- a user or an agent; the nil UUID: nobody known
    key text not null check (key ~ '^[!-~]{1,255}$'),
    operation text not null,
    fingerprint bytea not null check (length(fingerprint) = 32),    -- of operation, path, query and body; keyed
    request_id text not null,                                       -- of the try that may act
    lease_expires_at timestamptz not null,                          -- after which another try may take its place
    deeds integer not null default 0 check (deeds >= 0),
    deed_action text,                                               -- what was done first, as the audit has it
    deed_resource_type text,
    deed_resource_id text,
    deed_resource_name text,
    deed_at timestamptz,
    finished_at timestamptz,
    answer bytea,                                                   -- null: not known any more, or not to be kept
    sealed boolean not null default false,                          -- an answer with a secret, sealed by the vault
    created_at timestamptz not null,
    expires_at timestamptz not null,
    unique (owner_id, key),
    check ((deeds = 0) = (deed_at is null)),
    check ((deed_at is null) = (deed_action is null) and (deed_at is null) = (deed_resource_id is null)),
    check (answer is null or finished_at is not null)
);
create index idempotency_keys_expired on idempotency_keys (expires_at);

-- More can be done to a task than to change it; rows of before satisfy the longer list.
alter table audit_logs drop constraint audit_logs_action_check;
alter table audit_logs add constraint audit_logs_action_check check (
    action in (
        'create', 'write', 'delete', 'start', 'stop', 'login', 'logout', 'send', 'interrupt', 'answer', 'attach', 'push'
    )
) not valid;

-- The key that was used, for users with several. Null: none was, or the row is of an earlier release.
alter table audit_logs add column key_id text;

create index audit_logs_organization on audit_logs (organization_id, at desc, id desc) where organization_id is not null;
create index audit_logs_request on audit_logs (request_id) where request_id is not null;

-- What is in the audit stays as it was written: no statement of ours changes a row, and only the reaper takes old
-- ones away. It says that it is the reaper for the length of one transaction. Who owns the database can do all.
create function keep_audit() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and coalesce(current_setting('taskyard.reaping', true), '') = 'audit' then
        return old;
    end if;
    raise exception 'the audit is only added to: % on audit_logs was refused', lower(tg_op)
        using errcode = 'restrict_violation', hint = 'Old rows go by the setting keep_audit.';
end
$$;
create trigger audit_logs_kept before update or delete on audit_logs for each row execute function keep_audit();
create trigger audit_logs_whole before truncate on audit_logs for each statement execute function keep_audit();

-- Uploads of bytes that are stored already count as new ones. Null: not uploaded again.
alter table files add column touched_at timestamptz;
create index files_age on files (coalesce(touched_at, created_at));
create index provisioner_jobs_file on provisioner_jobs (file_id);

-- Deleted workspaces and expired keys are looked for by when that was.
create index workspaces_gone on workspaces (updated_at) where deleted;
create index api_keys_expired on api_keys (expires_at);

-- Foreign keys by which rows are looked for when what they refer to goes.
create index workspace_app_statuses_agent on workspace_app_statuses (agent_id);
create index workspace_agents_workspace on workspace_agents (workspace_id);
create index task_prompts_task on task_prompts (task_id);
create index task_prompts_build on task_prompts (workspace_build_id) where workspace_build_id is not null;

-- Work that one server at a time does now and then, and when it was begun last, by the clock of the database.
create table upkeep (
    name text primary key,
    began_at timestamptz not null
);
