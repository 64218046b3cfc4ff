'use strict';

// A dashboard through the result cache. Connects as PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD say, to a database with whitecross whose
// server has it in shared_preload_libraries.
//
//   npm install sequelize pg
//   node dashboard.js rows SCHOOL      students of a school who are allergic, as plain objects
//   node dashboard.js models SCHOOL    the same as instances of a model
//   node dashboard.js stats            what the cache has done in this database

const { DataTypes, QueryTypes, Sequelize } = require('sequelize');
const { cachedModels, cachedRows } = require('./cached');

const { PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD } = process.env;
const sequelize = new Sequelize({
  dialect: 'postgres', host: PGHOST, port: Number(PGPORT ?? 5432), database: PGDATABASE, username: PGUSER, password: PGPASSWORD, logging: false,
});

// The view, read-only; its columns in their order.
const AllergySummary = sequelize.define('AllergySummary', {
  studentId: { type: DataTypes.UUID, primaryKey: true },
}, { tableName: 'mv_allergy_summary', timestamps: false });

const allergies = 'SELECT * FROM mv_allergy_summary WHERE "schoolId" = $1 ORDER BY "studentNumber"';

const commands = {
  async rows(school) {
    for (const row of await cachedRows(sequelize, allergies, { bind: [school], tag: 'dashboard allergies' })) console.log(row.studentNumber, row.severeAllergies, row.alertLevel);
  },
  async models(school) {
    const students = await cachedModels(AllergySummary, allergies, { bind: [school], tag: 'dashboard allergies' });
    for (const student of students) console.log(student instanceof AllergySummary, student.studentId);
  },
  async stats() {
    const [stats] = await sequelize.query('SELECT hits, misses, stores FROM wc_cache_stats WHERE database = current_database()', { type: QueryTypes.SELECT });
    console.log(stats.hits, stats.misses, stats.stores);
  },
};

commands[process.argv[2]](process.argv[3])
  .catch((error) => {
    console.error(`${(error.original ?? error).code ?? ''} ${error.message}`);
    process.exitCode = 1;
  })
  .finally(() => sequelize.close());
