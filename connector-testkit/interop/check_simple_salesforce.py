"""simple-salesforce against the fake org: check_simple_salesforce.py ORG.json PRIVATE.pem

simple-salesforce builds every address as https://{host}, and its logins as https://{domain}.salesforce.com.
The only thing put in its way here is a transport that carries those to the org on loopback over plain HTTP,
through the session it lets its callers bring; its own code logs in, pages and parses.
"""

import csv
import io
import json
import sys
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit, urlunsplit

import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
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


def session():
    new = requests.Session()
    new.trust_env = False
    new.mount("https://", ToLoopback(org["listening"]))
    return new


user, password, token = org["username"], org["password"], org["security_token"]
app = {"consumer_key": org["client_id"], "consumer_secret": org["client_secret"]}

soap = Salesforce(username=user, password=password, security_token=token, session=session())
check("SOAP login with username, password and security token", bool(soap.session_id))
error = refused(
    SalesforceAuthenticationFailed,
    lambda: Salesforce(username=user, password="wrong", security_token="x", session=session()),
)
check("SOAP login with a wrong password: INVALID_LOGIN", error is not None and error.code == "INVALID_LOGIN")

client = Salesforce(domain="acme.my", **app, session=session())
check("client credentials login", bool(client.session_id) and client.session_id != soap.session_id)
wrong = dict(app, consumer_secret="wrong")
error = refused(SalesforceAuthenticationFailed, lambda: Salesforce(domain="acme.my", **wrong, session=session()))
check("client credentials with a wrong secret: invalid_client", error is not None and error.code == "invalid_client")

jwt = Salesforce(username=user, consumer_key=org["client_id"], privatekey_file=sys.argv[2], session=session())
check("JWT bearer login", bool(jwt.session_id))

direct = Salesforce(session_id=client.session_id, instance_url=org["listening"], session=session())
check("direct session", len(direct.query("SELECT Id FROM User LIMIT 1")["records"]) == 1)

described = client.describe()
names = {entry["name"] for entry in described["sobjects"]}
check("describe() lists the objects", {"Account", "Contact", "User", "LoginHistory"} <= names)

contact = client.Contact.describe()
fields = [field["name"] for field in contact["fields"]]
check("Contact.describe() lists the fields", {"Id", "LastName", "SystemModstamp", "Score__c"} <= set(fields))

first = client.query("SELECT Id, Name FROM Contact ORDER BY Id")
check("query() gives the first page", len(first["records"]) == 2000 and not first["done"])
more = client.query_more(first["nextRecordsUrl"], identifier_is_url=True)
check("query_more() follows nextRecordsUrl", len(more["records"]) == 2000)

soql = f"SELECT {', '.join(fields)} FROM Contact"
everything = client.query_all(soql)
ids = {record["Id"] for record in everything["records"]}
counted = client.query("SELECT COUNT() FROM Contact")["totalSize"]
check("query_all() reads every contact once", len(everything["records"]) == len(ids) == counted == 4500)
check("query_all() says it is done", everything["done"] and everything["totalSize"] == 4500)

with_deleted = client.query_all("SELECT Id, IsDeleted FROM Contact", include_deleted=True)
deleted = [record for record in with_deleted["records"] if record["IsDeleted"]]
check("query_all(include_deleted) adds the recycle bin", with_deleted["totalSize"] == 4800 and len(deleted) == 300)

lazy = sum(1 for _ in client.query_all_iter("SELECT Id FROM Contact"))
check("query_all_iter() walks the same rows", lazy == 4500)

parents = client.query("SELECT Account.Name FROM Contact WHERE AccountId != null LIMIT 5")["records"]
check("a parent's field comes inside the record", all(record["Account"]["Name"] for record in parents))

error = refused(SalesforceMalformedRequest, lambda: client.query("SELECT Nope FROM Contact"))
check("an unknown field: INVALID_FIELD", error is not None and error.content[0]["errorCode"] == "INVALID_FIELD")

usage = client.api_usage["api-usage"]
check("Sforce-Limit-Info is understood", usage.used > 0 and usage.total == 100000)

expired = Salesforce(session_id="00D5e0000000001!made.up", instance_url=org["listening"], session=session())
error = refused((SalesforceExpiredSession, RuntimeError), lambda: expired.query("SELECT Id FROM User"))
check("a session nobody knows is refused", error is not None)

# Bulk API 2.0: simple-salesforce makes the job, waits for it and reads it page by page.
bulk = list(client.bulk2.Contact.query(soql_bulk := "SELECT Id, LastName, MailingStreet, Description, SystemModstamp, "
    "HasOptedOutOfEmail, Legacy_Number__c FROM Contact", max_records=1000, wait=0.1))
rows = [row for page in bulk for row in csv.DictReader(io.StringIO(page, newline=""))]
check("bulk2.Contact.query() reads every contact once, in pages",
      len(bulk) == 5 and {row["Id"] for row in rows} == ids and len(rows) == 4500)
known = {record["Id"]: record for record in client.query_all(soql_bulk)["records"]}


def as_bulk(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text[:-5] + "Z" if text.endswith("+0000") else text


different = [(row["Id"], name) for row in rows for name, value in row.items() if as_bulk(known[row["Id"]][name]) != value]
check("a bulk row says what the REST row says", not different)
piped = list(client.bulk2.Contact.query_all("SELECT Id, IsDeleted FROM Contact", column_delimiter="PIPE",
                                            line_ending="CRLF", wait=0.1))
lines = [line for page in piped for line in page.split("\r\n")[1:] if line]
check("bulk2 query_all() with PIPE and CRLF adds the recycle bin",
      len(lines) == 4800 and sum(line.endswith('|"true"') for line in lines) == 300)
error = refused(SalesforceMalformedRequest,
                lambda: list(client.bulk2.Contact.query("SELECT Id, MailingAddress FROM Contact", wait=0.1)))
check("a compound field in bulk is refused", error is not None and "compound data" in error.content[0]["message"])

# Replication.
now = datetime.now(timezone.utc)
start = now - timedelta(days=14)
since = start.strftime("%Y-%m-%dT%H:%M:00Z")
told = client.Contact.deleted(start, now + timedelta(minutes=1))
gone = client.query_all(f"SELECT Id FROM Contact WHERE IsDeleted = true AND SystemModstamp >= {since}", include_deleted=True)
check("deleted() tells what the recycle bin holds of the last days",
      {row["id"] for row in told["deletedRecords"]} == {row["Id"] for row in gone["records"]} and gone["totalSize"] > 0)
changed = client.Contact.updated(start, now + timedelta(minutes=1))
rest = client.query_all(f"SELECT Id FROM Contact WHERE SystemModstamp >= {since}")
check("updated() tells what a query by SystemModstamp finds",
      set(changed["ids"]) == {row["Id"] for row in rest["records"]} and len(changed["ids"]) > 0)
error = refused(SalesforceMalformedRequest, lambda: client.Contact.deleted(now - timedelta(days=16), now))
check("deleted() of sixteen days: INVALID_REPLICATION_DATE",
      error is not None and error.content[0]["errorCode"] == "INVALID_REPLICATION_DATE")

print("all passed" if not failures else f"{failures} failed")
sys.exit(1 if failures else 0)
