// jsforce writes to the fake org: check_jsforce_writes.mjs ORG.json

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

const conn = new jsforce.Connection({
  version: '66.0',
  oauth2: { loginUrl: org.listening, clientId: org.client_id, clientSecret: org.client_secret },
});
await conn.authorize({ grant_type: 'client_credentials' });
const contacts = conn.sobject('Contact');
const key = 'External_Id__c';
const count = async (where) => (await conn.query(`SELECT COUNT() FROM Contact WHERE ${where}`)).totalSize;

const made = await contacts.create({ LastName: 'Writer' });
check('create() answers the id', made.success && made.id.length === 18);
check('update() succeeds', (await contacts.update({ Id: made.id, LastName: 'Written' })).success);
check('retrieve() reads it back', (await contacts.retrieve(made.id)).LastName === 'Written');
const first = await contacts.upsert({ LastName: 'One', [key]: 'j-1' }, key);
const again = await contacts.upsert({ LastName: 'Uno', [key]: 'j-1' }, key);
check('upsert() makes one record and changes it', first.success && again.success && first.id === again.id && (await count(`${key} = 'j-1'`)) === 1);
check('destroy() succeeds', (await contacts.destroy(made.id)).success);
let error = await refused(() => contacts.destroy(made.id));
check('destroy() again: ENTITY_IS_DELETED', error?.errorCode === 'ENTITY_IS_DELETED');

const many = Array.from({ length: 450 }, (_, n) => ({ LastName: `Many ${n}`, [key]: `m-${n}` }));
delete many[3].LastName;
const created = await contacts.create(many, { allowRecursive: true });
check('create() of 450 answers each in its order', created.length === 450 && created.every((one, n) => one.success === (n !== 3)));
check('the refused one says why', created[3].errors[0].statusCode === 'REQUIRED_FIELD_MISSING');
many[3].LastName = 'Many 3';
const upserted = await contacts.upsert(many, key, { allowRecursive: true });
check('upsert() of 450 makes the missing one', upserted.every((one) => one.success) && (await count(`${key} LIKE 'm-%'`)) === 450);
const changed = await contacts.update(upserted.map((one) => ({ Id: one.id, Title: 'T' })), { allowRecursive: true });
check('update() of 450', changed.every((one) => one.success) && (await count("Title = 'T'")) === 450);
const none = await contacts.create([{ LastName: 'x' }, {}], { allOrNone: true });
check('allOrNone takes the good one back', none.every((one) => !one.success) && none[0].errors[0].statusCode === 'ALL_OR_NONE_OPERATION_ROLLED_BACK');
const gone = await contacts.destroy(upserted.map((one) => one.id), { allowRecursive: true });
check('destroy() of 450', gone.every((one) => one.success) && (await count(`${key} LIKE 'm-%'`)) === 0);

conn.bulk2.pollInterval = 20;
conn.bulk2.pollTimeout = 60000;
const input = [{ LastName: 'Bulk "1", Jr\nx' }, { FirstName: 'no last name' }, { LastName: 'Bulk 3' }];
const loaded = await conn.bulk2.loadAndWaitForResults({ object: 'Contact', operation: 'insert', input });
check('bulk2.loadAndWaitForResults() writes two and refuses one', loaded.successfulResults.length === 2 && loaded.failedResults.length === 1);
check('the failed row says why', /^REQUIRED_FIELD_MISSING:/.test(loaded.failedResults[0].sf__Error));
check('what was written is what was sent', (await conn.sobject('Contact').retrieve(loaded.successfulResults[0].sf__Id)).LastName === input[0].LastName);
const bulked = await conn.bulk2.loadAndWaitForResults({
  object: 'Contact', operation: 'upsert', externalIdFieldName: key, input: [{ LastName: 'B', [key]: 'j-1' }, { LastName: 'N', [key]: 'j-2' }],
});
check('bulk2 upsert tells new from changed', bulked.successfulResults.map((row) => row.sf__Created).join() === 'false,true');

console.log(failures ? `${failures} failed` : 'all passed');
process.exit(failures ? 1 : 0);
