// jsforce against the fake org: check_jsforce.mjs ORG.json
//
// Nothing is put in its way: it is told the org's address, and signs in, pages and parses by its own code.

import { readFileSync } from 'node:fs';
import jsforce from 'jsforce';

const org = JSON.parse(readFileSync(process.argv[2]));
let failures = 0;

function check(name, passed) {
  if (!passed) failures += 1;
  console.log((passed ? 'PASS ' : 'FAIL ') + name);
}

async function refused(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return null;
}

async function all(stream) {
  const rows = [];
  for await (const row of stream) rows.push(row);
  return rows;
}

const version = '66.0';
const app = new jsforce.Connection({
  version,
  oauth2: { loginUrl: org.listening, clientId: org.client_id, clientSecret: org.client_secret },
});
await app.authorize({ grant_type: 'client_credentials' });
check('client credentials by the generic grant', Boolean(app.accessToken) && app.instanceUrl === org.listening);

const conn = new jsforce.Connection({ version, instanceUrl: app.instanceUrl, accessToken: app.accessToken });
check('a session token alone is enough to query', (await conn.query('SELECT Id FROM User LIMIT 1')).records.length === 1);

const global = await conn.describeGlobal();
const names = new Set(global.sobjects.map((object) => object.name));
check('describeGlobal() lists the objects', ['Account', 'Contact', 'User', 'LoginHistory'].every((name) => names.has(name)));
const contact = await conn.sobject('Contact').describe();
const fields = contact.fields.map((field) => field.name);
check('describe() lists the fields', ['Id', 'LastName', 'SystemModstamp', 'Score__c'].every((name) => fields.includes(name)));

const first = await conn.query('SELECT Id, Name FROM Contact');
check('query() gives the first page', first.records.length === 2000 && !first.done && first.totalSize === 4500);
const more = await conn.queryMore(first.nextRecordsUrl);
check('queryMore() follows nextRecordsUrl', more.records.length === 2000 && !more.done);

const columns = ['Id', 'LastName', 'MailingStreet', 'Description', 'SystemModstamp', 'HasOptedOutOfEmail', 'Birthdate'];
const soql = `SELECT ${columns.join(', ')} FROM Contact`;
const records = (await conn.query(soql, { autoFetch: true, maxFetch: 100000 })).records;
const byId = new Map(records.map((record) => [record.Id, record]));
check('autoFetch reads every contact once', records.length === 4500 && byId.size === 4500);

const deleted = await conn.query('SELECT Id, IsDeleted FROM Contact', { autoFetch: true, maxFetch: 100000, scanAll: true });
check('scanAll adds the recycle bin', deleted.records.length === 4800 && deleted.records.filter((row) => row.IsDeleted).length === 300);

conn.bulk2.pollInterval = 20;
conn.bulk2.pollTimeout = 60000;
const bulk = await all(await conn.bulk2.query(soql));
check('bulk2.query() reads every contact once', bulk.length === 4500 && new Set(bulk.map((row) => row.Id)).size === 4500);
// Bulk writes date-times with Z and null as nothing, and all of it as text; jsforce hands on what it read.
const asBulk = (value) => (value === null ? '' : String(value).replace(/\+0000$/, 'Z'));
const asRead = (value) => (value === null || value === undefined ? '' : String(value));
const different = bulk.flatMap((row) => columns.filter((name) => asRead(row[name]) !== asBulk(byId.get(row.Id)[name])));
check('a bulk row says what the REST row says', different.length === 0);
const scanned = await all(await conn.bulk2.query('SELECT Id, IsDeleted FROM Contact', { scanAll: true }));
check('bulk2.query() with scanAll adds the recycle bin', scanned.length === 4800);
const unordered = bulk.some((row, at) => at > 0 && row.Id < bulk[at - 1].Id);
check('bulk rows come in no order', unordered);

let error = await refused(() => conn.bulk2.query('SELECT Id, MailingAddress FROM Contact'));
check('a compound field in bulk is refused', /compound data/.test(error?.message ?? ''));
error = await refused(() => conn.query('SELECT Nope FROM Contact'));
check('an unknown field: INVALID_FIELD', error?.errorCode === 'INVALID_FIELD');

const end = new Date(Date.now() + 60000);
const start = new Date(Date.now() - 14 * 24 * 3600 * 1000);
const told = await conn.sobject('Contact').deleted(start, end);
const since = `${start.toISOString().slice(0, 16)}:00Z`;
const gone = await conn.query(`SELECT Id FROM Contact WHERE IsDeleted = true AND SystemModstamp >= ${since}`, { scanAll: true });
check('deleted() tells what the recycle bin holds of the last days', gone.totalSize > 0 && told.deletedRecords.length === gone.totalSize);
const changed = await conn.sobject('Contact').updated(start, end);
const rest = await conn.query(`SELECT Id FROM Contact WHERE SystemModstamp >= ${since}`);
check('updated() tells what a query by SystemModstamp finds', changed.ids.length === rest.totalSize && changed.ids.length > 0);

check('Sforce-Limit-Info is understood', conn.limitInfo?.apiUsage?.limit === 100000 && conn.limitInfo.apiUsage.used > 0);

console.log(failures ? `${failures} failed` : 'all passed');
process.exit(failures ? 1 : 0);
