-- 0011_freeze
select 1;
