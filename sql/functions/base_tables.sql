-- The reference tables, for a site that begins with an empty database.
--
-- They belong to whoever calls the function and are no members of the extension: DROP EXTENSION leaves them, pg_dump
-- dumps them. examples/reference/schema.sql is the same schema as a plain file; test/t/*_base_tables.pl compares the two.
--
-- Why they look as they do:
-- * A column that a CHECK constraint of ours judges may be NULL here even where applications always fill it: what NULL
--   means is that constraint's to decide (chk_students_grade_valid refuses it, chk_vital_signs_heart_rate_range lets it pass).
-- * Every character column that an index of ours names has a declared length, so that its rows fit into an index page:
--   a value that the table takes can then never be refused by an index.

CREATE FUNCTION @extschema@.wc_create_base_tables()
RETURNS TABLE (table_name text)
LANGUAGE plpgsql
VOLATILE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $create_base_tables$
DECLARE
  base_schema text;
  relation record;
BEGIN
  SELECT c.value INTO STRICT base_schema FROM @extschema@.wc_configuration AS c WHERE c.name = 'base_schema';

  -- In the order of the foreign keys; %1$I is the schema, once for the table and once for each table it refers to.
  FOR relation IN
    SELECT t.name, t.definition
      FROM (VALUES
('schools', $table$
CREATE TABLE %1$I.schools (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  name varchar(200) NOT NULL,
  code varchar(50),
  address text,
  city varchar(100),
  phone varchar(20),
  email varchar(255),
  principal varchar(200),
  "totalEnrollment" integer,
  "isActive" boolean NOT NULL DEFAULT true,
  "createdAt" timestamptz NOT NULL DEFAULT now(),
  "updatedAt" timestamptz NOT NULL DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('users', $table$
CREATE TABLE %1$I.users (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  email varchar(255),
  "firstName" varchar(255) NOT NULL,
  "lastName" varchar(255) NOT NULL,
  role varchar(50) NOT NULL DEFAULT 'NURSE',
  phone varchar(255),
  "schoolId" uuid,
  "isActive" boolean NOT NULL DEFAULT true,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('medications', $table$
CREATE TABLE %1$I.medications (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  name varchar(255) NOT NULL,
  "genericName" varchar(255),
  "dosageForm" varchar(255),
  strength varchar(255),
  manufacturer varchar(255),
  ndc varchar(255),
  "isControlled" boolean DEFAULT false,
  "deaSchedule" varchar(50),
  "requiresWitness" boolean DEFAULT false,
  "isActive" boolean DEFAULT true,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('students', $table$
CREATE TABLE %1$I.students (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentNumber" varchar(50) NOT NULL,
  "firstName" varchar(100) NOT NULL,
  "lastName" varchar(100) NOT NULL,
  "dateOfBirth" date,
  grade varchar(10),
  gender varchar(20),
  "isActive" boolean NOT NULL DEFAULT true,
  "enrollmentDate" timestamptz,
  "nurseId" uuid REFERENCES %1$I.users (id) ON UPDATE CASCADE ON DELETE SET NULL,
  "schoolId" uuid REFERENCES %1$I.schools (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('student_medications', $table$
CREATE TABLE %1$I.student_medications (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "medicationId" uuid NOT NULL REFERENCES %1$I.medications (id) ON UPDATE CASCADE,
  "schoolId" uuid,
  dosage varchar(255),
  frequency varchar(255),
  route varchar(255),
  instructions text,
  "scheduledTimes" text[],
  "startDate" date NOT NULL,
  "endDate" date,
  "requiresWitness" boolean,
  "isActive" boolean DEFAULT true,
  "prescribedBy" varchar(255),
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('medication_logs', $table$
CREATE TABLE %1$I.medication_logs (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentMedicationId" uuid NOT NULL REFERENCES %1$I.student_medications (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "scheduledAt" timestamptz,
  "administeredAt" timestamptz,
  "administeredBy" varchar(255),
  "dosageGiven" varchar(255),
  status varchar(50) DEFAULT 'ADMINISTERED',
  witnessed boolean,
  "witnessedBy" uuid,
  notes varchar(2000),
  "reasonNotGiven" text,
  "createdAt" timestamptz NOT NULL DEFAULT now(),
  "updatedAt" timestamptz NOT NULL DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('vital_signs', $table$
CREATE TABLE %1$I.vital_signs (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "measurementDate" timestamptz NOT NULL DEFAULT now(),
  temperature double precision,
  "temperatureUnit" varchar(50) DEFAULT 'F',
  "heartRate" integer,
  systolic integer,
  diastolic integer,
  "oxygenSaturation" double precision,
  notes text,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('appointments', $table$
CREATE TABLE %1$I.appointments (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "nurseId" uuid REFERENCES %1$I.users (id) ON UPDATE CASCADE ON DELETE SET NULL,
  "schoolId" uuid,
  type varchar(50) NOT NULL,
  "scheduledAt" timestamptz NOT NULL,
  duration integer DEFAULT 30,
  status varchar(50) NOT NULL DEFAULT 'SCHEDULED',
  reason varchar(500),
  location varchar(255),
  notes text,
  "recurringGroupId" uuid,
  "createdAt" timestamptz NOT NULL DEFAULT now(),
  "updatedAt" timestamptz NOT NULL DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('allergies', $table$
CREATE TABLE %1$I.allergies (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "schoolId" uuid,
  allergen varchar(255) NOT NULL,
  "allergyType" varchar(50) NOT NULL DEFAULT 'OTHER',
  severity varchar(50) NOT NULL,
  reaction varchar(2000),
  "epiPenRequired" boolean DEFAULT false,
  "epiPenLocation" varchar(255),
  "isActive" boolean DEFAULT true,
  notes text,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('health_records', $table$
CREATE TABLE %1$I.health_records (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "schoolId" uuid,
  "recordType" varchar(50) NOT NULL,
  "recordDate" date,
  title varchar(200),
  description text,
  provider varchar(200),
  diagnosis varchar(500),
  "diagnosisCode" varchar(20),
  "isConfidential" boolean DEFAULT false,
  "recordedBy" uuid,
  "isActive" boolean DEFAULT true,
  notes text,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('vaccinations', $table$
CREATE TABLE %1$I.vaccinations (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "vaccineName" varchar(200),
  "vaccineType" varchar(50),
  "doseNumber" integer,
  "administrationDate" date,
  "administeredBy" varchar(200),
  dosage varchar(50),
  "nextDueDate" date,
  "complianceStatus" varchar(50) NOT NULL DEFAULT 'COMPLIANT',
  "exemptionReason" text,
  notes text,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('chronic_conditions', $table$
CREATE TABLE %1$I.chronic_conditions (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  condition varchar(200) NOT NULL,
  "icdCode" varchar(20),
  "diagnosedDate" date,
  status varchar(50) NOT NULL DEFAULT 'ACTIVE',
  severity varchar(50),
  "managementPlan" varchar(4000),
  "emergencyProcedure" varchar(4000),
  "isActive" boolean NOT NULL DEFAULT true,
  notes text,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('incident_reports', $table$
CREATE TABLE %1$I.incident_reports (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "reporterId" uuid NOT NULL,
  "schoolId" uuid,
  type varchar(50) NOT NULL,
  severity varchar(50) NOT NULL,
  status varchar(50) NOT NULL DEFAULT 'PENDING_REVIEW',
  description text,
  location varchar(255),
  "actionsTaken" text,
  "occurredAt" timestamptz NOT NULL,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$)
      ) AS t (name, definition)
  LOOP
    IF to_regclass(format('%I.%I', base_schema, relation.name)) IS NULL THEN
      EXECUTE format(relation.definition, base_schema);
      table_name := relation.name;
      RETURN NEXT;
    END IF;
  END LOOP;
END
$create_base_tables$;

COMMENT ON FUNCTION @extschema@.wc_create_base_tables() IS
  'Creates the reference tables that are missing in the base schema, as ordinary tables of the caller, and returns their names. Call wc_install() afterwards to put the constraints, indexes and views on them.';

REVOKE EXECUTE ON FUNCTION @extschema@.wc_create_base_tables() FROM PUBLIC;
