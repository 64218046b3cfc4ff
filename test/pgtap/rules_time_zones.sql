-- The contents of the views depend on the site's time zone and on the clock, not on the session that refreshes them.
\i test/pgtap/setup/rules.sql
\i test/pgtap/setup/doses.sql

-- Everything the views show, moments written in UTC.
CREATE FUNCTION rules.contents() RETURNS text LANGUAGE sql STABLE SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' AS $$
  SELECT md5(string_agg(line, ' ' ORDER BY line COLLATE "C"))
    FROM (SELECT to_jsonb(v)::text FROM mv_student_health_summary AS v UNION ALL SELECT to_jsonb(v)::text FROM mv_compliance_status AS v
          UNION ALL SELECT to_jsonb(v)::text FROM mv_medication_schedule AS v UNION ALL SELECT to_jsonb(v)::text FROM mv_allergy_summary AS v
          UNION ALL SELECT to_jsonb(v)::text FROM mv_appointment_statistics AS v) AS lines (line)
$$;
CREATE FUNCTION rules.contents_in(zone text, local_now timestamp) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  failures text;
BEGIN
  PERFORM set_config('TimeZone', zone, true);
  failures := rules.refresh_failures(local_now);
  RETURN coalesce('failed: ' || failures, rules.contents());
END
$$;

DO $$
DECLARE
  t text;
BEGIN
  PERFORM rules.school('north'), rules.nurse('nina');
  -- Rows at every hour around two local days.
  FOREACH t IN ARRAY ARRAY['00:10', '08:00', '23:50'] LOOP PERFORM rules.medicated('at ' || t, ARRAY[t]); END LOOP;
  PERFORM rules.student('hourly');
  PERFORM rules.put('health_records', jsonb_build_object('studentId', 'hourly', 'recordType', 'VISION', 'recordDate', h)),
          rules.put('vaccinations', jsonb_build_object('studentId', 'hourly', 'administrationDate', h, 'nextDueDate', '2024-05-15')),
          rules.put('appointments', jsonb_build_object('studentId', 'hourly', 'nurseId', 'nina', 'scheduledAt', h)),
          rules.log('at 08:00', NULL, 'ADMINISTERED', jsonb_build_object('administeredAt', h))
     FROM generate_series(timestamptz '2024-05-13 00:15Z', '2024-05-16 23:45Z', '1 hour') AS h;
END
$$;
SELECT is(rules.contents_in(z, n), rules.contents_in('UTC', n), format('the same contents from a session in %s, at %s', z, n))
  FROM unnest(ARRAY['Pacific/Kiritimati', 'Etc/GMT+12', 'America/New_York', 'Asia/Kathmandu']) AS z,
       unnest(ARRAY['2024-05-15 00:10', '2024-05-15 21:00']::timestamp[]) AS n;
SELECT rules.contents_in('UTC', '2024-05-15 21:00') AS plain \gset
SET LOCAL DateStyle = 'German';
SET LOCAL IntervalStyle = 'sql_standard';
SELECT is(rules.contents_in('Europe/Berlin', '2024-05-15 21:00'), :'plain', 'and from one with another DateStyle');
SELECT isnt(:'plain', rules.contents_in('UTC', '2024-05-16 00:00'), 'but other contents at another time');
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = 'postgres';
SELECT rules.refresh('2024-05-15 21:00');

-- A day of the site: at 21:00 of New York it is the 15th, in UTC the 16th.
SELECT rules.shows('mv_compliance_status', 'hourly', 'overdueVaccinations', '0', 'due on the 15th is not overdue while the site has the 15th');
SELECT rules.shows('mv_medication_schedule', 'at 08:00', 'administeredCountToday', '24', '24 hourly logs are of the local day');

-- Another zone of the site: the same rows are of other days.
DO $$
BEGIN
  PERFORM wc_configure('timezone', 'Asia/Tokyo');
  PERFORM wc_install();
END
$$;
SELECT rules.refresh('2024-05-15 21:00');
SELECT rules.shows('mv_compliance_status', 'hourly', 'overdueVaccinations',
                   (SELECT count(*)::text FROM vaccinations WHERE "studentId" = rules.id('hourly')), 'in Tokyo it is the 16th: every dose is overdue');
SELECT is((SELECT array_agg(v."totalAppointments" ORDER BY v."date") FROM mv_appointment_statistics AS v WHERE v."nurseId" = rules.id('nina')),
          (SELECT array_agg(n ORDER BY day) FROM (SELECT ("scheduledAt" AT TIME ZONE 'Asia/Tokyo')::date AS day, count(*) AS n FROM appointments
                                                   WHERE "nurseId" = rules.id('nina') GROUP BY 1) AS d), 'appointments are of Tokyo''s days');

SELECT * FROM finish();
ROLLBACK;
