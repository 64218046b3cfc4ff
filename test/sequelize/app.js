'use strict';

// A small Sequelize application. It connects as PGHOST, PGPORT, PGDATABASE and PGUSER say.
//
//   node app.js query NAME FILTER...   a dashboard query; prints a line for each row, like psql -At
//   node app.js write STUDENT_ID       what an application does all day: a row created, updated, deleted
//   node app.js start                  what many applications do at every start: sync()
//   node app.js sync                   and while their models change: sync({ alter: true })
//
// '-' as a filter means: not given (NULL). An error of the database goes to standard error as its SQLSTATE and message,
// with exit status 1.

const { QueryTypes, Sequelize } = require('sequelize');
const { defineModels } = require('./models');

// The driver would turn a timestamp into a Date and print it in its own way: take the text that the server sends.
const pg = require('pg');
const TIMESTAMPTZ = 1184;
const DATE = 1082;
for (const type of [TIMESTAMPTZ, DATE]) pg.types.setTypeParser(type, (text) => text);

// Each dashboard: the statement an application sends, every filter optional.
const dashboards = {
  health: `
    SELECT "studentNumber", "firstName", "lastName", grade, "isActive", "activeHealthRecordsCount", "lastPhysicalExamDate",
           "lastVisionScreeningDate", "activeAllergiesCount", "severeAllergiesCount", "hasEpiPenRequired", "epiPenLocation",
           "activeMedicationsCount", "controlledMedicationsCount", "chronicConditionsCount", "vaccinationsCount"
      FROM mv_student_health_summary
     WHERE ($1::uuid IS NULL OR "schoolId" = $1)
       AND ($2::text IS NULL OR grade = $2)
       AND ($3::uuid IS NULL OR "nurseId" = $3)
     ORDER BY "studentNumber"`,
  compliance: `
    SELECT "studentNumber", "overallComplianceStatus", "compliantVaccinations", "nonCompliantVaccinations", "exemptVaccinations",
           "overdueVaccinations", "nextVaccinationDue", "lastPhysicalDate", "physicalExamCompliant"
      FROM mv_compliance_status
     WHERE ($1::uuid IS NULL OR "schoolId" = $1)
       AND ($2::text IS NULL OR "overallComplianceStatus" = $2)
     ORDER BY "studentNumber"`,
  schedule: `
    SELECT "studentNumber", "medicationName", dosage, "startDate", "isControlled", "requiresWitness",
           extract(epoch FROM "nextScheduledTime")::bigint AS next, "administeredCountToday", "isDueNow"
      FROM mv_medication_schedule
     WHERE ($1::uuid IS NULL OR "nurseId" = $1)
       AND ($2::uuid IS NULL OR "schoolId" = $2)
       AND ($3::boolean IS NULL OR "isDueNow" = $3)
     ORDER BY "studentNumber", "medicationName", "studentMedicationId"`,
};

const asText = (value) => (value === null ? '' : value === true ? 't' : value === false ? 'f' : String(value));

async function query(sequelize, name, ...filters) {
  const bind = filters.map((filter) => (filter === '-' ? null : filter));
  const rows = await sequelize.query(dashboards[name], { bind, type: QueryTypes.SELECT });
  for (const row of rows) process.stdout.write(`${Object.values(row).map(asText).join('|')}\n`);
}

async function write(sequelize, studentId) {
  const { Allergy, Student } = sequelize.models;
  const student = await Student.findByPk(studentId, { rejectOnEmpty: true });
  await sequelize.transaction(async (transaction) => {
    const id = '00000000-0000-4000-8000-0000000000aa';
    await Allergy.create({ id, studentId, allergen: 'Kiwi', severity: 'LIFE_THREATENING', epiPenRequired: true,
      epiPenLocation: 'Nurse office', active: true, createdAt: new Date(), updatedAt: new Date() }, { transaction });
    await student.update({ updatedAt: new Date() }, { transaction });
    await Allergy.update({ notes: 'confirmed' }, { where: { id }, transaction });
  });
}

async function start(sequelize) {
  await sequelize.sync();
}

async function sync(sequelize) {
  await sequelize.sync({ alter: true });
}

async function main([command, ...operands]) {
  const { PGHOST, PGPORT, PGDATABASE, PGUSER } = process.env;
  const sequelize = new Sequelize({
    dialect: 'postgres', dialectModule: pg, host: PGHOST, port: Number(PGPORT), database: PGDATABASE, username: PGUSER, logging: false,
  });
  defineModels(sequelize);
  try {
    await { query, write, start, sync }[command](sequelize, ...operands);
  } catch (error) {
    const original = error.original ?? error;
    process.stderr.write(`${original.code ?? ''} ${original.message}\n`);
    process.exitCode = 1;
  } finally {
    await sequelize.close();
  }
}

main(process.argv.slice(2));
