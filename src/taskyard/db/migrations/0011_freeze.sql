-- How much the transcript of a task holds, so that it can be full.

-- Bytes of the items that its workspaces have sent since this column is there; those of before are not counted.
alter table tasks add column item_bytes bigint not null default 0 check (item_bytes >= 0);
