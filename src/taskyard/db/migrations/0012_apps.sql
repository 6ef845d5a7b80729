-- 0012_apps
select 1;
