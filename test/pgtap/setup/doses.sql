-- Doses for the rule tests (after setup/rules.sql): the same words on a database with scheduledTimes and on one without, where
-- the doses are PENDING logs.
--
--   rules.medicated('ann', ARRAY['08:00'], '{"endDate": "2024-05-15"}')   a student and a medication of hers, both of that name
--   rules.log('ann', '2024-05-15 07:50', 'ADMINISTERED')                   a log at that New York time
--   rules.doses_are('ann', true, '2024-05-16 08:00', 'description')        isDueNow and nextScheduledTime

DO $$ BEGIN PERFORM rules.put('medications', '{"id": "drug"}'); END $$;

CREATE FUNCTION rules.log(label text, local_time timestamp, status text DEFAULT 'ADMINISTERED', given jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
  SELECT rules.put('medication_logs', jsonb_build_object('studentMedicationId', label, 'status', status,
                     'administeredAt', local_time AT TIME ZONE 'America/New_York', 'scheduledAt', local_time AT TIME ZONE 'America/New_York') || given)
$$;

-- Without scheduledTimes: a PENDING log for each time on each day around around_day from startDate to endDate.
CREATE FUNCTION rules.medicated(label text, times text[], given jsonb DEFAULT '{}', around_day date DEFAULT '2024-05-15') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM rules.student(label, '{"schoolId": "north", "nurseId": "nina"}'),
          rules.put('student_medications', jsonb_build_object('id', label, 'studentId', label, 'medicationId', 'drug', 'scheduledTimes', times) || given);
  IF NOT rules.has('student_medications', 'scheduledTimes') THEN
    PERFORM rules.log(label, (around_day + offset_days) + t::time, 'PENDING')
       FROM generate_series(-1, 2) AS offset_days, unnest(times) AS t
      WHERE around_day + offset_days BETWEEN coalesce((given ->> 'startDate')::date, '-infinity') AND coalesce((given ->> 'endDate')::date, 'infinity');
  END IF;
END
$$;

CREATE FUNCTION rules.doses_are(label text, due boolean, next timestamp, description text) RETURNS text LANGUAGE sql AS $$
  SELECT is(ARRAY[r ->> 'isDueNow', ((r ->> 'nextScheduledTime')::timestamptz AT TIME ZONE 'UTC')::text],
            ARRAY[due::text, ((next AT TIME ZONE 'America/New_York') AT TIME ZONE 'UTC')::text], description)
    FROM rules.row('mv_medication_schedule', label) AS r
$$;
