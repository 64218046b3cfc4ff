-- The base tables by their canonical columns, as views of the schema rules (after setup/rules.sql): what an oracle reads. Days
-- are New York's. Written here once more, not expanded from the extension's mapping, which is what is being tested.

CREATE FUNCTION rules.make_canonical(of_table text, VARIADIC columns text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  wanted text;
  site text;
  site_type regtype;
  list text := '';
  days constant text[] := ARRAY['dateOfBirth', 'recordDate', 'administrationDate', 'nextDueDate', 'startDate', 'endDate'];
  absent constant jsonb := '{"scheduledTimes": "text[]", "requiresWitness": "boolean", "isActive": "boolean", "deletedAt": "timestamptz"}';
BEGIN
  FOREACH wanted IN ARRAY columns LOOP
    site := rules.site_column(of_table, wanted);
    SELECT a.atttypid INTO site_type FROM pg_attribute AS a WHERE a.attrelid = to_regclass(quote_ident(of_table)) AND a.attname = site;
    list := list || format(', %s AS %I', CASE
      WHEN site IS NULL AND wanted = 'schoolId' THEN format('(SELECT s."schoolId" FROM students AS s WHERE s.id = t."studentId")')
      WHEN site IS NULL THEN format('NULL::%s', absent ->> wanted)
      WHEN wanted = ANY (days) AND site_type = 'timestamptz'::regtype THEN format('(t.%I AT TIME ZONE ''America/New_York'')::date', site)
      WHEN wanted IN ('status', 'type', 'severity', 'recordType', 'complianceStatus', 'deaSchedule', 'allergyType') THEN format('t.%I::text', site)
      ELSE format('t.%I', site) END, wanted);
  END LOOP;
  EXECUTE format('CREATE VIEW rules.%1$I AS SELECT %2$s FROM %1$I AS t', of_table, substr(list, 3));
END
$$;

DO $$
BEGIN
  PERFORM rules.make_canonical('students', 'id', 'studentNumber', 'firstName', 'lastName', 'grade', 'schoolId', 'nurseId', 'dateOfBirth', 'isActive', 'updatedAt', 'deletedAt');
  PERFORM rules.make_canonical('medications', 'id', 'name', 'genericName', 'isControlled', 'deaSchedule', 'requiresWitness', 'deletedAt');
  PERFORM rules.make_canonical('student_medications', 'id', 'studentId', 'medicationId', 'dosage', 'route', 'frequency', 'instructions', 'scheduledTimes', 'startDate', 'endDate', 'requiresWitness', 'isActive', 'updatedAt', 'deletedAt');
  PERFORM rules.make_canonical('appointments', 'id', 'studentId', 'nurseId', 'schoolId', 'type', 'status', 'scheduledAt', 'duration', 'deletedAt');
  PERFORM rules.make_canonical('allergies', 'id', 'studentId', 'allergen', 'allergyType', 'severity', 'reaction', 'epiPenRequired', 'epiPenLocation', 'isActive', 'updatedAt', 'deletedAt');
  PERFORM rules.make_canonical('health_records', 'id', 'studentId', 'recordType', 'recordDate', 'isActive', 'updatedAt', 'deletedAt');
  PERFORM rules.make_canonical('vaccinations', 'id', 'studentId', 'vaccineType', 'administrationDate', 'nextDueDate', 'complianceStatus', 'updatedAt', 'deletedAt');
  PERFORM rules.make_canonical('chronic_conditions', 'id', 'studentId', 'isActive', 'updatedAt', 'deletedAt');
  IF rules.has('medication_logs', 'studentMedicationId') THEN
    CREATE VIEW rules.medication_logs AS
      SELECT l."studentMedicationId", l.status::text, l."scheduledAt", l."administeredAt", l."deletedAt" FROM medication_logs AS l;
  ELSE
    CREATE VIEW rules.medication_logs AS
      SELECT sm.id AS "studentMedicationId", l.status::text, l."scheduledAt", l."administeredAt", l."deletedAt"
        FROM medication_logs AS l JOIN student_medications AS sm ON (sm."studentId", sm."medicationId") = (l."studentId", l."medicationId");
  END IF;
END
$$;
