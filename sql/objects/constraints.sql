-- The CHECK constraints. Braces are placeholders (see docs/architecture.md, "Definitions over canonical names"):
--   {col}            the column as it is
--   {col date}       the column as a date, a timestamptz taken in UTC
--   {col date?}      the same; NULL::date where the site has no such column
--   {col IN 'a','b'} membership; labels that an enum lacks are dropped
--   {col IN @grades} membership in a configured list
-- Three rules hold for each expression. It is never UNKNOWN by accident: what NULL does is written out. It never raises: a bad
-- value is a violation, so no cast that can fail, and dates are compared as dates, never as timestamps, whose range is smaller.
-- And no answer depends on the session: no CURRENT_DATE, no backslash in a plain literal, no collation of the column's.

INSERT INTO @extschema@.wc_constraint_definition (name, table_name, position, expression, comment) VALUES
('chk_students_grade_valid', 'students', 1,
 $check${grade} IS NOT NULL AND {grade IN @grades}$check$,
 'The grade is one of the grades of the site (setting grades).'),

-- Completed years by the calendar: the difference of the years, less one before the birthday. Bound to the enrolment date,
-- not to today, so that no row becomes invalid by waiting.
('chk_students_age_range', 'students', 2,
 $check$CASE
    WHEN coalesce({enrollmentDate date?}, {createdAt date?}) IS NULL OR {dateOfBirth} IS NULL THEN true
    WHEN NOT isfinite(coalesce({enrollmentDate date?}, {createdAt date?})) OR NOT isfinite({dateOfBirth date}) THEN false
    ELSE extract(year FROM coalesce({enrollmentDate date?}, {createdAt date?})) - extract(year FROM {dateOfBirth date})
         - CASE WHEN (extract(month FROM coalesce({enrollmentDate date?}, {createdAt date?})) * 100
                      + extract(day FROM coalesce({enrollmentDate date?}, {createdAt date?})))
                     < (extract(month FROM {dateOfBirth date}) * 100 + extract(day FROM {dateOfBirth date}))
                THEN 1 ELSE 0 END
         BETWEEN 4 AND 25
  END$check$,
 'The student was 4 to 25 years old, in completed years, on the enrolment date.'),

('chk_medications_controlled_schedule', 'medications', 3,
 $check${isControlled} IS NULL OR {isControlled} = ({deaSchedule} IS NOT NULL)$check$,
 'A medication is controlled exactly when it has a DEA schedule.'),

('chk_medications_witness_requirement', 'medications', 4,
 $check$({deaSchedule IN 'II', 'III'}) IS NOT TRUE OR {requiresWitness} IS TRUE$check$,
 'A medication of DEA schedule II or III requires a witness.'),

('chk_vital_signs_temperature_range', 'vital_signs', 5,
 $check${temperature} IS NULL
  OR CASE WHEN {temperatureUnit IN 'C'} THEN {temperature} BETWEEN 32.2 AND 43.3 ELSE {temperature} BETWEEN 90 AND 110 END$check$,
 'The temperature is 90 to 110 degrees Fahrenheit; where the unit is C, 32.2 to 43.3 degrees Celsius.'),

('chk_vital_signs_heart_rate_range', 'vital_signs', 6,
 $check${heartRate} IS NULL OR {heartRate} BETWEEN 40 AND 220$check$,
 'The heart rate is 40 to 220 beats a minute.'),

('chk_vital_signs_blood_pressure_range', 'vital_signs', 7,
 $check${systolic} IS NULL OR {systolic} BETWEEN 60 AND 250$check$,
 'The systolic blood pressure is 60 to 250 mmHg.'),

('chk_vital_signs_diastolic_range', 'vital_signs', 8,
 $check${diastolic} IS NULL OR {diastolic} BETWEEN 40 AND 150$check$,
 'The diastolic blood pressure is 40 to 150 mmHg.'),

('chk_appointments_duration_range', 'appointments', 9,
 $check${duration} IS NULL OR {duration} BETWEEN 15 AND 240$check$,
 'An appointment takes 15 to 240 minutes.'),

('chk_allergies_epipen_location', 'allergies', 10,
 $check${epiPenRequired} IS NOT TRUE
  OR ({epiPenLocation} IS NOT NULL AND btrim({epiPenLocation}, E' \t\n\v\f\r') <> '')$check$,
 'Where an EpiPen is required, its location is given.'),

-- COLLATE "C": a site's nondeterministic collation would make the match an error.
('chk_student_medications_dosage_positive', 'student_medications', 11,
 $check${dosage} IS NULL OR {dosage} COLLATE "C" ~ '^[[:space:]]*[0-9]*([.][0-9]*)?[1-9]'$check$,
 'The dosage begins with a number greater than zero.'),

('chk_health_records_record_date', 'health_records', 12,
 $check${recordDate} IS NULL OR {recordDate date} <= (now() AT TIME ZONE 'UTC')::date + 1$check$,
 'A health record is dated tomorrow (UTC) at the latest.'),

('chk_vaccinations_administration_date', 'vaccinations', 13,
 $check${administrationDate} IS NULL OR {administrationDate date} <= (now() AT TIME ZONE 'UTC')::date + 1$check$,
 'A vaccination is dated tomorrow (UTC) at the latest.');
