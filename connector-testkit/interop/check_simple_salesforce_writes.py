"""simple-salesforce writes to the fake org: check_simple_salesforce_writes.py ORG.json

The transport to loopback is that of check_simple_salesforce.py; it signs in with client credentials.
"""

import json
import sys
from urllib.parse import urlsplit, urlunsplit

import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)


class ToLoopback(requests.adapters.HTTPAdapter):
    """Sends what is meant for Salesforce to the fake org."""

    def __init__(self, org):
        super().__init__()
        self.org = urlsplit(org)

    def send(self, request, **options):
        to = urlsplit(request.url)
        if not (to.hostname.endswith(".salesforce.com") or to.netloc == self.org.netloc):
            raise AssertionError(f"a request left for {request.url}")
        request.url = urlunsplit((self.org.scheme, self.org.netloc, to.path, to.query, ""))
        return super().send(request, **options)


failures = 0


def check(name, passed):
    global failures
    failures += not passed
    print(("PASS " if passed else "FAIL ") + name, flush=True)


def refused(expected, call):
    try:
        call()
    except expected as error:
        return error
    return None


with open(sys.argv[1]) as file:
    org = json.load(file)

session = requests.Session()
session.trust_env = False
session.mount("https://", ToLoopback(org["listening"]))
sf = Salesforce(
    consumer_key=org["client_id"],
    consumer_secret=org["client_secret"],
    domain="acme.my",
    version="66.0",
    session=session,
)
KEY = "External_Id__c"


def count(where):
    return sf.query(f"SELECT COUNT() FROM Contact WHERE {where}")["totalSize"]


made = sf.Contact.create({"LastName": "Writer", "Email": "w@example.com"})
check("create() answers the id", made["success"] is True and len(made["id"]) == 18)
check("update() answers 204", sf.Contact.update(made["id"], {"LastName": "Written"}) == 204)
check("get() reads it back", sf.Contact.get(made["id"])["LastName"] == "Written")

check("upsert() by external id creates with 201", sf.Contact.upsert(f"{KEY}/w-1", {"LastName": "One"}) == 201)
check("upsert() again updates with 200", sf.Contact.upsert(f"{KEY}/w-1", {"LastName": "Uno"}) == 200)
check("get_by_custom_id() finds it", sf.Contact.get_by_custom_id(KEY, "w-1")["LastName"] == "Uno")
check("the upsert made one record", count(f"{KEY} = 'w-1'") == 1)

check("delete() answers 204", sf.Contact.delete(made["id"]) == 204)
error = refused(SalesforceResourceNotFound, lambda: sf.Contact.delete(made["id"]))
check("a second delete(): ENTITY_IS_DELETED", error and error.content[0]["errorCode"] == "ENTITY_IS_DELETED")
error = refused(SalesforceMalformedRequest, lambda: sf.Contact.create({"FirstName": "x"}))
check("a missing field: REQUIRED_FIELD_MISSING", error and error.content[0]["errorCode"] == "REQUIRED_FIELD_MISSING")
error = refused(SalesforceMalformedRequest, lambda: sf.Contact.create({"LastName": "x", KEY: "w-1"}))
check("a taken external id: DUPLICATE_VALUE", error and error.content[0]["errorCode"] == "DUPLICATE_VALUE")
check("no external id of several", refused(SalesforceMoreThanOneRecord, lambda: sf.Contact.get_by_custom_id(KEY, "w-1")) is None)

body = {"allOrNone": False, "records": [
    {"attributes": {"type": "Contact"}, "LastName": "C1"},
    {"attributes": {"type": "Contact"}},
]}
results = sf.restful("composite/sobjects", method="POST", json=body)
check("a collection answers each record in its order",
      [result["success"] for result in results] == [True, False]
      and results[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING")

rows = [{"LastName": f'Bulk "{n}", Jr', KEY: f"b-{n}"} for n in range(30)]
done = sf.bulk2.Contact.insert(records=rows, wait=1)
check("bulk2.insert() writes every record",
      sum(job["numberRecordsProcessed"] for job in done) == 30
      and sum(job["numberRecordsFailed"] for job in done) == 0 and count("LastName LIKE 'Bulk%'") == 30)
rows[0][KEY] = "b-new"
rows[1]["LastName"] = "#N/A"
done = sf.bulk2.Contact.upsert(records=rows, external_id_field=KEY, wait=1)
check("bulk2.upsert() writes by external id and counts what failed",
      done[0]["numberRecordsFailed"] == 1 and count("LastName LIKE 'Bulk%'") == 31)
failed = sf.bulk2.Contact.get_failed_records(done[0]["job_id"])
check("get_failed_records() says why", "REQUIRED_FIELD_MISSING" in failed)
good = sf.bulk2.Contact.get_successful_records(done[0]["job_id"])
check("get_successful_records() names the records", "sf__Id" in good and good.count("003") >= 29)
ids = [row["Id"] for row in sf.query_all(f"SELECT Id FROM Contact WHERE LastName LIKE 'Bulk%'")["records"]]
done = sf.bulk2.Contact.delete(records=[{"Id": one} for one in ids], wait=1)
check("bulk2.delete() deletes them", count("LastName LIKE 'Bulk%'") == 0)

print(f"{failures} failed" if failures else "all passed")
sys.exit(1 if failures else 0)
