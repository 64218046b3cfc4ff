-- The reference schema: the tables that whitecross manages when a site has no tables of its own yet.
-- For people without the extension; with it, SELECT wc_create_base_tables() makes exactly these tables
-- (test/t/*_base_tables.pl compares the two). They go into the first schema of search_path.

CREATE TABLE schools (
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
);

CREATE TABLE users (
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
);

CREATE TABLE medications (
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
);

CREATE TABLE students (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentNumber" varchar(50) NOT NULL,
  "firstName" varchar(100) NOT NULL,
  "lastName" varchar(100) NOT NULL,
  "dateOfBirth" date,
  grade varchar(10),
  gender varchar(20),
  "isActive" boolean NOT NULL DEFAULT true,
  "enrollmentDate" timestamptz,
  "nurseId" uuid REFERENCES users (id) ON UPDATE CASCADE ON DELETE SET NULL,
  "schoolId" uuid REFERENCES schools (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
);

CREATE TABLE student_medications (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "medicationId" uuid NOT NULL REFERENCES medications (id) ON UPDATE CASCADE,
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
);

CREATE TABLE medication_logs (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentMedicationId" uuid NOT NULL REFERENCES student_medications (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "studentId" uuid NOT NULL REFERENCES students (id) ON UPDATE CASCADE ON DELETE CASCADE,
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
);

CREATE TABLE vital_signs (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES students (id) ON UPDATE CASCADE ON DELETE CASCADE,
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
);

CREATE TABLE appointments (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "nurseId" uuid REFERENCES users (id) ON UPDATE CASCADE ON DELETE SET NULL,
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
);

CREATE TABLE allergies (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES students (id) ON UPDATE CASCADE ON DELETE CASCADE,
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
);

CREATE TABLE health_records (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES students (id) ON UPDATE CASCADE ON DELETE CASCADE,
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
);

CREATE TABLE vaccinations (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES students (id) ON UPDATE CASCADE ON DELETE CASCADE,
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
);

CREATE TABLE chronic_conditions (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES students (id) ON UPDATE CASCADE ON DELETE CASCADE,
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
);

CREATE TABLE incident_reports (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES students (id) ON UPDATE CASCADE ON DELETE CASCADE,
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
);
