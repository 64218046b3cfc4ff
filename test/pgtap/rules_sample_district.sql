-- Every view against its rules, evaluated again for each row of the sample district: row by row with sub-queries and loops,
-- as slow and as plain as can be, at several times of a day.
\i test/pgtap/setup/rules.sql
\i test/pgtap/setup/canonical.sql

CREATE FUNCTION rules.now() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT current_setting('whitecross.now')::timestamptz $$;
CREATE FUNCTION rules.today() RETURNS date LANGUAGE sql STABLE AS $$ SELECT (rules.now() AT TIME ZONE 'America/New_York')::date $$;

-- What counts: live, and active where records are.
CREATE VIEW rules.records AS SELECT * FROM rules.health_records WHERE "deletedAt" IS NULL AND coalesce("isActive", true);
CREATE VIEW rules.counted_allergies AS SELECT * FROM rules.allergies WHERE "deletedAt" IS NULL AND coalesce("isActive", true);
CREATE VIEW rules.live_vaccinations AS SELECT * FROM rules.vaccinations WHERE "deletedAt" IS NULL;
CREATE VIEW rules.current_medications AS
  SELECT sm.*, coalesce(sm."requiresWitness", (SELECT m."requiresWitness" FROM rules.medications AS m WHERE m.id = sm."medicationId"), false) AS witness
    FROM rules.student_medications AS sm
   WHERE sm."deletedAt" IS NULL AND coalesce(sm."isActive", true) AND sm."startDate" <= rules.today() AND coalesce(sm."endDate" >= rules.today(), true);
CREATE VIEW rules.pens AS
  SELECT s.id, (SELECT string_agg(l, ', ') FROM (SELECT DISTINCT a."epiPenLocation" AS l FROM rules.counted_allergies AS a
                                                   WHERE a."studentId" = s.id AND a."epiPenRequired" AND a."epiPenLocation" IS NOT NULL ORDER BY 1) AS d) AS locations,
         EXISTS (SELECT FROM rules.counted_allergies AS a WHERE a."studentId" = s.id AND a."epiPenRequired") AS required
    FROM rules.students AS s;

CREATE VIEW rules.mv_student_health_summary (
    "studentId", "studentNumber", "firstName", "lastName", "grade", "schoolId", "nurseId", "dateOfBirth", "isActive",
    "activeHealthRecordsCount", "lastHealthRecordDate", "lastPhysicalExamDate", "lastVisionScreeningDate", "lastHearingScreeningDate",
    "activeAllergiesCount", "severeAllergiesCount", "hasEpiPenRequired", "epiPenLocation", "activeMedicationsCount",
    "controlledMedicationsCount", "chronicConditionsCount", "vaccinationsCount", "compliantVaccinationsCount",
    "nonCompliantVaccinationsCount", "lastDataUpdate") AS
  SELECT s.id, s."studentNumber", s."firstName", s."lastName", s.grade, s."schoolId", s."nurseId", s."dateOfBirth", coalesce(s."isActive", true),
         (SELECT count(*) FROM rules.records AS r WHERE r."studentId" = s.id),
         (SELECT max(r."recordDate") FROM rules.records AS r WHERE r."studentId" = s.id),
         (SELECT max(r."recordDate") FROM rules.records AS r WHERE r."studentId" = s.id AND r."recordType" = 'PHYSICAL_EXAM'),
         (SELECT max(r."recordDate") FROM rules.records AS r WHERE r."studentId" = s.id AND r."recordType" IN ('VISION', 'VISION_SCREENING')),
         (SELECT max(r."recordDate") FROM rules.records AS r WHERE r."studentId" = s.id AND r."recordType" IN ('HEARING', 'HEARING_SCREENING')),
         (SELECT count(*) FROM rules.counted_allergies AS a WHERE a."studentId" = s.id),
         (SELECT count(*) FROM rules.counted_allergies AS a WHERE a."studentId" = s.id AND a.severity IN ('SEVERE', 'LIFE_THREATENING')),
         p.required, p.locations,
         (SELECT count(*) FROM rules.current_medications AS m WHERE m."studentId" = s.id),
         (SELECT count(*) FROM rules.current_medications AS m WHERE m."studentId" = s.id AND m.witness),
         (SELECT count(*) FROM rules.chronic_conditions AS c WHERE c."studentId" = s.id AND c."deletedAt" IS NULL AND coalesce(c."isActive", true)),
         (SELECT count(*) FROM rules.live_vaccinations AS v WHERE v."studentId" = s.id),
         (SELECT count(*) FROM rules.live_vaccinations AS v WHERE v."studentId" = s.id AND v."complianceStatus" = 'COMPLIANT'),
         (SELECT count(*) FROM rules.live_vaccinations AS v WHERE v."studentId" = s.id AND v."complianceStatus" = 'NON_COMPLIANT'),
         (SELECT max(u.at) FROM (SELECT s."updatedAt" AS at
            UNION ALL SELECT "updatedAt" FROM rules.health_records WHERE "studentId" = s.id AND "deletedAt" IS NULL
            UNION ALL SELECT "updatedAt" FROM rules.allergies WHERE "studentId" = s.id AND "deletedAt" IS NULL
            UNION ALL SELECT "updatedAt" FROM rules.student_medications WHERE "studentId" = s.id AND "deletedAt" IS NULL
            UNION ALL SELECT "updatedAt" FROM rules.chronic_conditions WHERE "studentId" = s.id AND "deletedAt" IS NULL
            UNION ALL SELECT "updatedAt" FROM rules.vaccinations WHERE "studentId" = s.id AND "deletedAt" IS NULL) AS u)
    FROM rules.students AS s JOIN rules.pens AS p ON p.id = s.id
   WHERE s."deletedAt" IS NULL;

CREATE VIEW rules.open_vaccinations AS
  SELECT v.* FROM rules.live_vaccinations AS v
   WHERE NOT EXISTS (SELECT FROM rules.live_vaccinations AS later WHERE later."studentId" = v."studentId" AND later."vaccineType" = v."vaccineType"
                                                                   AND later."administrationDate" > v."administrationDate");
CREATE VIEW rules.overdue_vaccinations AS
  SELECT * FROM rules.open_vaccinations WHERE "complianceStatus" <> 'EXEMPT' AND ("complianceStatus" = 'OVERDUE' OR coalesce("nextDueDate" < rules.today(), false));
CREATE VIEW rules.mv_compliance_status (
    "studentId", "schoolId", "nurseId", "studentNumber", "firstName", "lastName", "grade", "compliantVaccinations",
    "nonCompliantVaccinations", "exemptVaccinations", "nextVaccinationDue", "overdueVaccinations", "lastPhysicalDate",
    "physicalExamCompliant", "lastVisionDate", "visionScreeningCompliant", "lastHearingDate", "hearingScreeningCompliant",
    "overallComplianceStatus") AS
  SELECT c.id, c."schoolId", c."nurseId", c."studentNumber", c."firstName", c."lastName", c.grade,
         (SELECT count(*) FROM rules.live_vaccinations AS v WHERE v."studentId" = c.id AND v."complianceStatus" = 'COMPLIANT'),
         (SELECT count(*) FROM rules.live_vaccinations AS v WHERE v."studentId" = c.id AND v."complianceStatus" = 'NON_COMPLIANT'),
         (SELECT count(*) FROM rules.live_vaccinations AS v WHERE v."studentId" = c.id AND v."complianceStatus" = 'EXEMPT'),
         (SELECT min(v."nextDueDate") FROM rules.open_vaccinations AS v WHERE v."studentId" = c.id AND v."complianceStatus" <> 'EXEMPT' AND v."nextDueDate" >= rules.today()),
         c.overdue, c.physical, coalesce(c.physical >= c.year_ago, false), c.vision, coalesce(c.vision >= c.year_ago, false), c.hearing, coalesce(c.hearing >= c.year_ago, false),
         CASE WHEN EXISTS (SELECT FROM rules.open_vaccinations AS v WHERE v."studentId" = c.id AND v."complianceStatus" = 'NON_COMPLIANT')
                OR c.physical IS NULL OR c.physical < c.year_ago THEN 'NON_COMPLIANT'
              WHEN c.overdue > 0 THEN 'PAST_DUE' ELSE 'COMPLIANT' END
    FROM (SELECT s.*, (rules.today() - interval '1 year')::date AS year_ago,
                 (SELECT count(*) FROM rules.overdue_vaccinations AS v WHERE v."studentId" = s.id) AS overdue,
                 (SELECT max(r."recordDate") FROM rules.records AS r WHERE r."studentId" = s.id AND r."recordType" = 'PHYSICAL_EXAM') AS physical,
                 (SELECT max(r."recordDate") FROM rules.records AS r WHERE r."studentId" = s.id AND r."recordType" IN ('VISION', 'VISION_SCREENING')) AS vision,
                 (SELECT max(r."recordDate") FROM rules.records AS r WHERE r."studentId" = s.id AND r."recordType" IN ('HEARING', 'HEARING_SCREENING')) AS hearing
            FROM rules.students AS s WHERE s."deletedAt" IS NULL AND coalesce(s."isActive", true)) AS c;

CREATE VIEW rules.mv_allergy_summary (
    "studentId", "studentNumber", "firstName", "lastName", "grade", "schoolId", "nurseId", "allergies", "totalAllergies", "severeAllergies",
    "moderateAllergies", "requiresEpiPen", "epiPenLocations", "alertLevel", "lifeThreateningAllergies", "mildAllergies") AS
  SELECT s.id, s."studentNumber", s."firstName", s."lastName", s.grade, s."schoolId", s."nurseId",
         (SELECT coalesce(jsonb_agg(to_jsonb(o)), '[]') FROM (
            SELECT a.id, a.allergen, a."allergyType", a.severity, a.reaction, coalesce(a."epiPenRequired", false) AS "epiPenRequired", a."epiPenLocation"
              FROM rules.counted_allergies AS a WHERE a."studentId" = s.id
             ORDER BY coalesce(array_position(ARRAY['LIFE_THREATENING', 'SEVERE', 'MODERATE', 'MILD'], a.severity), 5), a.allergen, a.id) AS o),
         (SELECT count(*) FROM rules.counted_allergies AS a WHERE a."studentId" = s.id),
         (SELECT count(*) FROM rules.counted_allergies AS a WHERE a."studentId" = s.id AND a.severity IN ('SEVERE', 'LIFE_THREATENING')),
         (SELECT count(*) FROM rules.counted_allergies AS a WHERE a."studentId" = s.id AND a.severity = 'MODERATE'),
         p.required, p.locations,
         CASE WHEN EXISTS (SELECT FROM rules.counted_allergies AS a WHERE a."studentId" = s.id AND a.severity IN ('SEVERE', 'LIFE_THREATENING')) THEN 'CRITICAL'
              WHEN EXISTS (SELECT FROM rules.counted_allergies AS a WHERE a."studentId" = s.id AND a.severity = 'MODERATE') THEN 'WARNING'
              WHEN EXISTS (SELECT FROM rules.counted_allergies AS a WHERE a."studentId" = s.id) THEN 'INFO' ELSE 'NONE' END,
         (SELECT count(*) FROM rules.counted_allergies AS a WHERE a."studentId" = s.id AND a.severity = 'LIFE_THREATENING'),
         (SELECT count(*) FROM rules.counted_allergies AS a WHERE a."studentId" = s.id AND a.severity = 'MILD')
    FROM rules.students AS s JOIN rules.pens AS p ON p.id = s.id
   WHERE s."deletedAt" IS NULL AND coalesce(s."isActive", true);

-- The doses of a medication on the days around today that were not given.
CREATE FUNCTION rules.open_doses(medication rules.current_medications) RETURNS SETOF timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
  dose timestamptz;
  doses timestamptz[] := '{}';
  day date;
  written text;
BEGIN
  IF medication."scheduledTimes" IS NULL THEN
    doses := ARRAY(SELECT l."scheduledAt" FROM rules.medication_logs AS l
                    WHERE l."studentMedicationId" = medication.id AND l."deletedAt" IS NULL AND l.status = 'PENDING' AND l."scheduledAt" IS NOT NULL
                      AND (medication."endDate" IS NULL OR (l."scheduledAt" AT TIME ZONE 'America/New_York')::date <= medication."endDate"));
  ELSE
    FOR back IN -1..3 LOOP
      day := rules.today() + back;
      CONTINUE WHEN day < medication."startDate" OR day > medication."endDate";
      FOREACH written IN ARRAY medication."scheduledTimes" LOOP
        BEGIN
          doses := doses || (day + written::time) AT TIME ZONE 'America/New_York';
        EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow THEN
          NULL; -- a malformed time has no dose
        END;
      END LOOP;
    END LOOP;
  END IF;
  FOREACH dose IN ARRAY doses LOOP
    IF NOT EXISTS (SELECT FROM rules.medication_logs AS l WHERE l."studentMedicationId" = medication.id AND l."deletedAt" IS NULL AND l.status = 'ADMINISTERED'
                                                            AND abs(extract(epoch FROM l."administeredAt" - dose)) <= 1800) THEN
      RETURN NEXT dose;
    END IF;
  END LOOP;
END
$$;
CREATE VIEW rules.mv_medication_schedule (
    "studentMedicationId", "studentId", "studentNumber", "studentName", "grade", "schoolId", "nurseId", "medicationId", "medicationName",
    "medicationGenericName", "dosage", "route", "frequency", "scheduledTimes", "instructions", "startDate", "endDate", "requiresWitness",
    "isControlled", "deaSchedule", "nextScheduledTime", "lastAdministeredAt", "administeredCountToday", "isDueNow") AS
  SELECT cm.id, cm."studentId", s."studentNumber", s."firstName" || ' ' || s."lastName", s.grade, s."schoolId", s."nurseId", cm."medicationId", m.name, m."genericName",
         cm.dosage, cm.route, cm.frequency, cm."scheduledTimes", cm.instructions, cm."startDate", cm."endDate", cm.witness, coalesce(m."isControlled", false), m."deaSchedule",
         (SELECT min(d) FROM rules.open_doses(cm) AS d WHERE d > rules.now()),
         (SELECT max(l."administeredAt") FROM rules.medication_logs AS l WHERE l."studentMedicationId" = cm.id AND l."deletedAt" IS NULL AND l.status = 'ADMINISTERED'),
         (SELECT count(*) FROM rules.medication_logs AS l WHERE l."studentMedicationId" = cm.id AND l."deletedAt" IS NULL AND l.status = 'ADMINISTERED'
                                                            AND (l."administeredAt" AT TIME ZONE 'America/New_York')::date = rules.today()),
         EXISTS (SELECT FROM rules.open_doses(cm) AS d WHERE abs(extract(epoch FROM d - rules.now())) <= 1800)
    FROM rules.current_medications AS cm JOIN rules.students AS s ON s.id = cm."studentId" JOIN rules.medications AS m ON m.id = cm."medicationId"
   WHERE s."deletedAt" IS NULL AND coalesce(s."isActive", true) AND m."deletedAt" IS NULL;

CREATE VIEW rules.visits AS
  SELECT a.*, (a."scheduledAt" AT TIME ZONE 'America/New_York')::date AS day FROM rules.appointments AS a WHERE a."deletedAt" IS NULL;
CREATE VIEW rules.mv_appointment_statistics (
    "nurseId", "nurseName", "schoolId", "schoolName", "date", "totalAppointments", "completedAppointments", "cancelledAppointments",
    "noShowAppointments", "scheduledAppointments", "checkupAppointments", "medicationAppointments", "injuryAppointments",
    "illnessAppointments", "avgDuration", "totalDuration", "uniqueStudentsSeen") AS
  SELECT d."nurseId", u."firstName" || ' ' || u."lastName", d."schoolId", (SELECT s.name FROM schools AS s WHERE s.id = d."schoolId"), d.day,
         count(*), count(*) FILTER (WHERE d.status = 'COMPLETED'), count(*) FILTER (WHERE d.status = 'CANCELLED'), count(*) FILTER (WHERE d.status = 'NO_SHOW'),
         count(*) FILTER (WHERE d.status IN ('SCHEDULED', 'CONFIRMED')), count(*) FILTER (WHERE d.type IN ('CHECKUP', 'ROUTINE_CHECKUP')),
         count(*) FILTER (WHERE d.type IN ('MEDICATION', 'MEDICATION_ADMINISTRATION')), count(*) FILTER (WHERE d.type IN ('INJURY', 'INJURY_ASSESSMENT')),
         count(*) FILTER (WHERE d.type IN ('ILLNESS', 'ILLNESS_EVALUATION')),
         (SELECT avg(v.duration) FROM rules.visits AS v WHERE v."nurseId" = d."nurseId" AND v."schoolId" IS NOT DISTINCT FROM d."schoolId" AND v.day = d.day AND v.status = 'COMPLETED'),
         (SELECT coalesce(sum(v.duration), 0)::bigint FROM rules.visits AS v WHERE v."nurseId" = d."nurseId" AND v."schoolId" IS NOT DISTINCT FROM d."schoolId" AND v.day = d.day AND v.status = 'COMPLETED'),
         (SELECT count(DISTINCT v."studentId") FROM rules.visits AS v WHERE v."nurseId" = d."nurseId" AND v."schoolId" IS NOT DISTINCT FROM d."schoolId" AND v.day = d.day AND v.status = 'COMPLETED')
    FROM rules.visits AS d JOIN users AS u ON u.id = d."nurseId"
   WHERE d.day >= rules.today() - 90
   GROUP BY d."nurseId", u."firstName", u."lastName", d."schoolId", d.day;

-- Rows that the view and its rules don't have in common, either way.
CREATE FUNCTION rules.differences(of_view text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  number bigint;
BEGIN
  EXECUTE format('SELECT count(*) FROM ((TABLE %1$I EXCEPT ALL TABLE rules.%1$I) UNION ALL (TABLE rules.%1$I EXCEPT ALL TABLE %1$I)) AS d', of_view) INTO number;
  RETURN number;
END
$$;
CREATE FUNCTION rules.compare(local_time time) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  of_view text;
  number bigint;
BEGIN
  -- The district's own day: that of its latest dose given.
  RETURN NEXT rules.refresh((SELECT max(l."administeredAt" AT TIME ZONE 'America/New_York')::date FROM rules.medication_logs AS l WHERE l.status = 'ADMINISTERED') + local_time);
  FOREACH of_view IN ARRAY ARRAY['mv_student_health_summary', 'mv_compliance_status', 'mv_medication_schedule', 'mv_allergy_summary', 'mv_appointment_statistics'] LOOP
    EXECUTE format('SELECT count(*) FROM %I', of_view) INTO number;
    RETURN NEXT cmp_ok(number, '>', 0::bigint, format('%s has rows at %s', of_view, local_time));
    RETURN NEXT is(rules.differences(of_view), 0::bigint, format('%s is what its rules say, row by row, at %s', of_view, local_time));
  END LOOP;
END
$$;
SELECT rules.compare(t) FROM unnest(ARRAY['00:05', '06:40', '08:10', '11:45', '12:30', '23:50']::time[]) AS t;

-- Equality of empty things would prove nothing: at a time when doses are due, by their times or by the pending logs.
SELECT rules.compare(CASE WHEN rules.has('student_medications', 'scheduledTimes') THEN time '08:05'
  ELSE (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY (l."scheduledAt" AT TIME ZONE 'America/New_York')::time)
          FROM rules.medication_logs AS l WHERE l.status = 'PENDING' AND l."deletedAt" IS NULL) END);
SELECT isnt_empty('SELECT FROM ' || of, of || ': there are some to judge')
  FROM unnest(ARRAY['rules.overdue_vaccinations', 'mv_medication_schedule WHERE "isDueNow"', 'mv_medication_schedule WHERE NOT "isDueNow" AND "nextScheduledTime" IS NOT NULL',
                    'mv_medication_schedule WHERE "administeredCountToday" > 0', 'mv_allergy_summary WHERE "epiPenLocations" LIKE ''%,%''',
                    'mv_allergy_summary WHERE "totalAllergies" > 2', 'mv_student_health_summary WHERE "controlledMedicationsCount" > 0',
                    'mv_compliance_status WHERE "exemptVaccinations" > 0', 'mv_appointment_statistics WHERE "avgDuration" IS NOT NULL']) AS of;

-- The restricted form of each definition, for some keys, gives the rows of the whole one: what a refresh of single keys rests on.
CREATE FUNCTION rules.restricted_differences(of_view text, keys text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  number bigint;
BEGIN
  EXECUTE format('WITH whole AS (SELECT * FROM %1$I WHERE (%2$s) IN (SELECT * FROM unnest(%3$s))), restricted AS (%4$s)
                  SELECT count(*) FROM ((TABLE whole EXCEPT ALL TABLE restricted) UNION ALL (TABLE restricted EXCEPT ALL TABLE whole)) AS d', of_view,
                 (SELECT string_agg(quote_ident(c), ', ') FROM wc_view_definition AS d, unnest(d.refresh_columns) AS c WHERE d.name = of_view),
                 keys, wc_view_query(of_view, keys))
    INTO number;
  RETURN number;
END
$$;
SELECT is(rules.restricted_differences(v, k), 0::bigint, format('%s restricted to some keys has their rows of the whole view', v))
  FROM (VALUES ('mv_student_health_summary', format('%L::uuid[]', ARRAY(SELECT id FROM students ORDER BY id LIMIT 40))),
               ('mv_compliance_status', format('%L::uuid[]', ARRAY(SELECT id FROM students ORDER BY id LIMIT 40))),
               ('mv_medication_schedule', format('%L::uuid[]', ARRAY(SELECT id FROM student_medications ORDER BY id LIMIT 40))),
               ('mv_allergy_summary', format('%L::uuid[]', ARRAY(SELECT id FROM students ORDER BY id LIMIT 40))),
               ('mv_appointment_statistics', (SELECT format('%L::uuid[], %L::date[]', array_agg(k."nurseId"), array_agg(k."date"))
                                                FROM (SELECT DISTINCT "nurseId", "date" FROM mv_appointment_statistics ORDER BY 2, 1 LIMIT 40) AS k)),
               ('mv_appointment_statistics', $$'{}'::uuid[], '{}'::date[]$$)) AS c (v, k);

SELECT * FROM finish();
ROLLBACK;
