//! The endpoints that write, one function each: rows, collections, composite, and ingest jobs of the Bulk API 2.0.
//!
//! A POST that makes rows is sent once. A PATCH sets fields to values, so it may be repeated. A DELETE may be too, but what
//! the second answer means its sender has to know, so it is sent once here and repeated there.

use connector_sdk::{
    Context, Result,
    http::{Method, Request, Response},
};
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use super::{Api, PATIENCE};

const JSON: &str = "application/json; charset=UTF-8";

/// A path below the version, of segments that are percent-encoded here.
fn below(segments: &[&str]) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        for piece in byte_serialize(segment.as_bytes()) {
            // The form encoding writes a space as `+`, which only forms read back.
            path.push_str(if piece == "+" { "%20" } else { piece });
        }
    }
    path
}

impl Api {
    fn request(&self, operation: &'static str, method: Method, segments: &[&str]) -> Request {
        let path = format!("{}{}", self.settings.api_version.path(), below(segments));
        Request::new(operation, method, path)
    }

    async fn ask(&self, cx: &Context, request: Request) -> Result<Response> {
        self.quota.admit(request.operation(), cx)?;
        self.send(cx, request).await
    }

    /// `POST /sobjects/X`: a new row.
    pub(crate) async fn insert(&self, cx: &Context, object: &str, fields: &Value) -> Result<Response> {
        let request = self.request("create", Method::POST, &["sobjects", object]);
        self.ask(cx, request.body(JSON, fields.to_string())).await
    }

    /// `GET /sobjects/X/{id}`: all fields of a row, or these.
    pub(crate) async fn retrieve(
        &self,
        cx: &Context,
        object: &str,
        id: &str,
        fields: &[&str],
    ) -> Result<Response> {
        let request = self.request("retrieve", Method::GET, &["sobjects", object, id]);
        self.ask(cx, with_fields(request, fields)).await
    }

    /// `GET /sobjects/X/{field}/{value}`: the id of the row with this external id.
    pub(crate) async fn find(
        &self,
        cx: &Context,
        object: &str,
        field: &str,
        value: &str,
    ) -> Result<Response> {
        let request = self.request("retrieve", Method::GET, &["sobjects", object, field, value]);
        self.ask(cx, with_fields(request, &["Id"])).await
    }

    /// `PATCH /sobjects/X/{id}`: fields of a row.
    pub(crate) async fn update(
        &self,
        cx: &Context,
        object: &str,
        id: &str,
        fields: &Value,
    ) -> Result<Response> {
        let request = self.request("update", Method::PATCH, &["sobjects", object, id]);
        self.ask(cx, request.body(JSON, fields.to_string()).idempotent()).await
    }

    /// `PATCH /sobjects/X/{field}/{value}`: the row with this external id, made where there is none.
    pub(crate) async fn upsert(
        &self,
        cx: &Context,
        object: &str,
        (field, value): (&str, &str),
        fields: &Value,
    ) -> Result<Response> {
        let request = self.request("upsert", Method::PATCH, &["sobjects", object, field, value]);
        self.ask(cx, request.body(JSON, fields.to_string()).idempotent()).await
    }

    /// `DELETE /sobjects/X/{id}`; sent once.
    pub(crate) async fn delete(&self, cx: &Context, object: &str, id: &str) -> Result<Response> {
        self.ask(cx, self.request("delete", Method::DELETE, &["sobjects", object, id]).once()).await
    }

    /// `POST /composite/sobjects`: up to 200 new rows; sent once.
    pub(crate) async fn insert_many(&self, cx: &Context, body: String) -> Result<Response> {
        let request = self.request("create_many", Method::POST, &["composite", "sobjects"]);
        self.ask(cx, request.body(JSON, body)).await
    }

    /// `PATCH /composite/sobjects`: fields of up to 200 rows.
    pub(crate) async fn update_many(&self, cx: &Context, body: String) -> Result<Response> {
        let request = self.request("update_many", Method::PATCH, &["composite", "sobjects"]);
        self.ask(cx, request.body(JSON, body).idempotent()).await
    }

    /// `PATCH /composite/sobjects/X/{field}`: up to 200 rows by their external ids.
    pub(crate) async fn upsert_many(
        &self,
        cx: &Context,
        object: &str,
        field: &str,
        body: String,
    ) -> Result<Response> {
        let segments = ["composite", "sobjects", object, field];
        let request = self.request("upsert_many", Method::PATCH, &segments);
        self.ask(cx, request.body(JSON, body).idempotent()).await
    }

    /// `DELETE /composite/sobjects?ids=…`: up to 200 rows; sent once.
    pub(crate) async fn delete_many(&self, cx: &Context, ids: &str) -> Result<Response> {
        let request = self.request("delete_many", Method::DELETE, &["composite", "sobjects"]);
        self.ask(cx, request.query("ids", ids).query("allOrNone", "false").once()).await
    }

    /// `POST /composite`: up to 25 requests in one. `repeatable`: all of them may be done twice.
    pub(crate) async fn composite(&self, cx: &Context, body: String, repeatable: bool) -> Result<Response> {
        let request = self.request("composite", Method::POST, &["composite"]).body(JSON, body);
        self.ask(cx, if repeatable { request.idempotent() } else { request }).await
    }

    /// `POST /jobs/ingest`: a job without data. A second one, made because the first answer was lost, stays empty and does
    /// nothing, so it may be repeated.
    pub(crate) async fn make_ingest(&self, cx: &Context, body: String) -> Result<Response> {
        let request = self.request("ingest", Method::POST, &["jobs", "ingest"]);
        self.ask(cx, request.body(JSON, body).idempotent()).await
    }

    /// `PUT …/batches`: the data of a job.
    pub(crate) async fn upload_ingest(&self, cx: &Context, id: &str, csv: Vec<u8>) -> Result<Response> {
        let request = self.request("ingest", Method::PUT, &["jobs", "ingest", id, "batches"]);
        self.ask(cx, request.body("text/csv", csv).answer_within(PATIENCE)).await
    }

    /// `PATCH /jobs/ingest/{id}`: closes or stops a job.
    pub(crate) async fn change_ingest(&self, cx: &Context, id: &str, state: &str) -> Result<Response> {
        let body = serde_json::json!({ "state": state }).to_string();
        let request = self.request("ingest", Method::PATCH, &["jobs", "ingest", id]);
        // Beyond our share of the quota too: what is left running at the vendor is worse.
        self.send(cx, request.body(JSON, body).idempotent()).await
    }

    /// `GET /jobs/ingest/{id}`.
    pub(crate) async fn ingest_job(&self, cx: &Context, id: &str) -> Result<Response> {
        self.ask(cx, self.request("ingest", Method::GET, &["jobs", "ingest", id])).await
    }

    /// `GET /jobs/ingest/{id}/{part}`: rows of a job as CSV.
    pub(crate) async fn ingest_rows(&self, cx: &Context, id: &str, part: &str) -> Result<Response> {
        self.ask(cx, self.request("ingest", Method::GET, &["jobs", "ingest", id, part])).await
    }

    /// `DELETE /jobs/ingest/{id}`.
    pub(crate) async fn delete_ingest(&self, cx: &Context, id: &str) -> Result<Response> {
        // Beyond our share of the quota too: what is left running at the vendor is worse.
        self.send(cx, self.request("ingest", Method::DELETE, &["jobs", "ingest", id])).await
    }
}

fn with_fields(request: Request, fields: &[&str]) -> Request {
    if fields.is_empty() { request } else { request.query("fields", &fields.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_value_cannot_become_another_segment_of_the_path() {
        assert_eq!(
            below(&["sobjects", "Contact", "Key__c", "a/b ?é%."]),
            "/sobjects/Contact/Key__c/a%2Fb%20%3F%C3%A9%25."
        );
    }
}
