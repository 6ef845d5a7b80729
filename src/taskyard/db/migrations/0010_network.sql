-- 0010_network
select 1;
