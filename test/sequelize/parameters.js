'use strict';

// Parameters of every kind, given to a query as it is and through the cache, with the helper of examples/sequelize. Prints 'same' for each kind whose
// rows are those of the query as it is, and what differs for others.

const { QueryTypes, Sequelize } = require('sequelize');
const { cachedRows } = require('./cached');

const kinds = {
  text: ['SELECT $1::text AS v', "it's \\ \"quoted\" {a,b}"],
  empty: ['SELECT $1::text AS v', ''],
  null: ['SELECT $1::text IS NULL AS v', null],
  integer: ['SELECT $1::int + 1 AS v', 41],
  float: ['SELECT $1::float8 AS v', 0.1],
  boolean: ['SELECT NOT $1::boolean AS v', false],
  uuid: ['SELECT $1::uuid AS v', '00000000-0000-4000-8000-0000000000aa'],
  time: ["SELECT to_char($1::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS') AS v", new Date('2026-03-08T07:30:00.123Z')],
  bytes: ["SELECT encode($1::bytea, 'hex') AS v", Buffer.from([0, 255, 92, 34])],
  texts: ['SELECT $1::text[] AS v', ['a', 'b,c', '"d"', '\\e', '', 'NULL', null]],
  numbers: ['SELECT $1::int[] AS v', [1, 2, 3]],
  nested: ['SELECT $1::int[] AS v', [[1, 2], [3, 4]]],
  json: ["SELECT $1::jsonb -> 'a' AS v", { a: [1, "it's", null] }],
};

async function main() {
  const { PGHOST, PGPORT, PGDATABASE, PGUSER } = process.env;
  const sequelize = new Sequelize({ dialect: 'postgres', host: PGHOST, port: Number(PGPORT), database: PGDATABASE, username: PGUSER, logging: false });
  try {
    for (const [kind, [query, value]] of Object.entries(kinds)) {
      const plain = JSON.stringify(await sequelize.query(query, { bind: [value], type: QueryTypes.SELECT }));
      const first = JSON.stringify(await cachedRows(sequelize, query, { bind: [value] }));
      const again = JSON.stringify(await cachedRows(sequelize, query, { bind: [value] }));
      process.stdout.write(`${kind} ${first === plain && again === plain ? 'same' : `${plain} ${first} ${again}`}\n`);
    }
    // In a transaction of the application: its own writes are seen, those that it takes back are not.
    const count = async (transaction) => (await cachedRows(sequelize, 'SELECT count(*) AS v FROM noted', { transaction }))[0].v;
    const seen = [await count()];
    await sequelize.transaction(async (transaction) => {
      await sequelize.query('INSERT INTO noted VALUES (1)', { transaction });
      seen.push(await count(transaction), await count());
      throw new Error('taken back');
    }).catch((error) => { if (error.message !== 'taken back') throw error; });
    seen.push(await count());
    process.stdout.write(`transaction ${seen.join(' ')}\n`);
  } finally {
    await sequelize.close();
  }
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
