'use strict';

// What an application does to read students with their allergies: well, and in the two ways that make a statement for
// each student. It connects as app.js does, with a pool of 10, and prints how many allergies it has read.
//
//   node loops.js awaited STUDENTS    one find after the other
//   node loops.js warmed STUDENTS     the same, after all connections of the pool have been in use
//   node loops.js parallel STUDENTS   all at once, over the pool
//   node loops.js include STUDENTS    eager loading

const { Sequelize } = require('sequelize');
const { defineModels } = require('./models');

async function main([way, limit]) {
  const { PGHOST, PGPORT, PGDATABASE, PGUSER } = process.env;
  const sequelize = new Sequelize({
    dialect: 'postgres', host: PGHOST, port: Number(PGPORT), database: PGDATABASE, username: PGUSER, logging: false,
    pool: { max: 10 }, dialectOptions: { application_name: `clinic ${way}` },
  });
  defineModels(sequelize);
  const { Allergy, Student } = sequelize.models;
  Student.hasMany(Allergy, { foreignKey: 'studentId', as: 'allergies' });

  const list = { order: ['studentNumber'], limit: Number(limit) };
  const allergiesOf = (student) => Allergy.findAll({ where: { studentId: student.id } });
  const ways = {
    awaited: async () => {
      const found = [];
      for (const student of await Student.findAll(list)) found.push(await allergiesOf(student));
      return found;
    },
    warmed: async () => {
      await Promise.all(Array.from({ length: 10 }, () => sequelize.query('SELECT pg_sleep(0.1)')));
      return ways.awaited();
    },
    parallel: async () => Promise.all((await Student.findAll(list)).map(allergiesOf)),
    include: async () => (await Student.findAll({ ...list, include: 'allergies' })).map((student) => student.allergies),
  };
  try {
    const found = await ways[way]();
    process.stdout.write(`${found.length} ${found.flat().length}\n`);
  } finally {
    await sequelize.close();
  }
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
