-- A site may map a canonical column to an expression: its days and moments are the site's, too, whatever session refreshes.
\i test/pgtap/setup/rules.sql

ALTER TABLE vaccinations ADD COLUMN "dueAt" timestamptz;
ALTER TABLE appointments ADD COLUMN "startsAt" timestamp, ADD COLUMN "startsOn" date;
DO $$
BEGIN
  PERFORM rules.school('north'), rules.nurse('nina'), rules.student('ann', '{"schoolId": "north"}');
  -- Due at 23:30 of the 14th in New York, which is the 15th in UTC.
  PERFORM rules.put('vaccinations', '{"id": "shot", "studentId": "ann"}');
  UPDATE vaccinations SET "dueAt" = '2024-05-14 23:30-04' WHERE id = rules.id('shot');
  PERFORM rules.put('appointments', '{"id": "visit", "studentId": "ann", "nurseId": "nina", "schoolId": "north", "scheduledAt": "2020-01-01"}');
  UPDATE appointments SET "startsAt" = '2024-05-14 02:00', "startsOn" = '2024-05-12' WHERE id = rules.id('visit');
  PERFORM wc_map_column('vaccinations', 'nextDueDate', 'coalesce("dueAt", NULL)');
  PERFORM wc_map_column('appointments', 'scheduledAt', 'coalesce("startsAt", NULL)');
  PERFORM wc_install();
END
$$;
CREATE FUNCTION rules.seen_from(zone text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  failures text;
BEGIN
  PERFORM set_config('TimeZone', zone, true);
  failures := rules.refresh_failures('2024-05-15 00:10'); -- a statement of its own: the next one has the view open
  RETURN coalesce(failures, (rules.row('mv_compliance_status', 'ann') ->> 'overdueVaccinations') || ' overdue, seen on '
    || (SELECT string_agg(v."date"::text, ', ') FROM mv_appointment_statistics AS v WHERE v."nurseId" = rules.id('nina')));
END
$$;
-- A timestamp without a zone is UTC, as applications store it: 02:00 is 22:00 of the day before in New York.
SELECT is(rules.seen_from(z), '1 overdue, seen on 2024-05-13', format('a timestamptz for a day and a timestamp for a moment, from %s', z))
  FROM unnest(ARRAY['UTC', 'America/New_York', 'Pacific/Kiritimati', 'Etc/GMT+12']) AS z;

-- A day that stands for a moment is that day of the site.
DO $$
BEGIN
  PERFORM wc_map_column('appointments', 'scheduledAt', 'coalesce("startsOn", NULL)');
  PERFORM wc_map_column('vaccinations', 'nextDueDate', 'coalesce("dueAt", NULL)::date + 10');
  PERFORM wc_install();
END
$$;
SELECT is(rules.seen_from(z), '0 overdue, seen on 2024-05-12', format('a date for a moment, from %s', z))
  FROM unnest(ARRAY['UTC', 'America/New_York', 'Pacific/Kiritimati', 'Etc/GMT+12']) AS z;

SELECT * FROM finish();
ROLLBACK;
