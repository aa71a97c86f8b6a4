//! Describes: of all objects, and of one.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::org::{Data, Org};
use super::reply;
use super::schema::Object;

/// `GET …/sobjects`.
pub(super) fn global(org: &Org, version: &str) -> Response {
    let list: Vec<Value> = org.data().objects().map(|object| listed(object, version)).collect();
    reply::json(StatusCode::OK, &json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": list}))
}

/// `GET …/sobjects/X/describe`.
pub(super) fn object(org: &Org, version: &str, name: &str) -> Response {
    let data = org.data();
    match data.object(name) {
        Some(object) => reply::json(StatusCode::OK, &described(&data, &object, version, &org.url).into()),
        None => reply::not_found(),
    }
}

/// The keys that both describes have, at the values most objects have.
fn flags(object: &Object) -> Map<String, Value> {
    let events = !object.queryable;
    let mut map = Map::new();
    for (key, value) in [
        ("activateable", false),
        ("createable", !events),
        ("custom", object.name.ends_with("__c")),
        ("customSetting", false),
        ("deepCloneable", false),
        ("deletable", !events),
        ("deprecatedAndHidden", false),
        ("feedEnabled", false),
        ("hasSubtypes", false),
        ("isInterface", false),
        ("isSubtype", false),
        ("layoutable", !events),
        ("mergeable", false),
        ("mruEnabled", !events),
        ("queryable", object.queryable),
        ("replicateable", object.columns().modstamp.is_some()),
        ("retrieveable", !events),
        ("searchable", !events),
        ("triggerable", !events),
        ("undeletable", object.columns().is_deleted.is_some()),
        ("updateable", !events),
    ] {
        map.insert(key.to_owned(), value.into());
    }
    let prefix = if object.prefix.is_empty() { Value::Null } else { object.prefix.as_str().into() };
    map.insert("keyPrefix".to_owned(), prefix);
    map.insert("label".to_owned(), object.label.as_str().into());
    map.insert("labelPlural".to_owned(), object.plural.as_str().into());
    map.insert("name".to_owned(), object.name.as_str().into());
    map
}

fn listed(object: &Object, version: &str) -> Value {
    let name = &object.name;
    let mut entry = match &object.listed {
        Some(recorded) => recorded.clone(),
        None => {
            let mut entry = flags(object);
            entry.insert("associateEntityType".to_owned(), Value::Null);
            entry.insert("associateParentEntity".to_owned(), Value::Null);
            let base = format!("/services/data/{version}/sobjects/{name}");
            let urls = json!({
                "sobject": base,
                "describe": format!("{base}/describe"),
                "rowTemplate": format!("{base}/{{ID}}"),
                "layouts": format!("{base}/describe/layouts"),
                "compactLayouts": format!("{base}/describe/compactLayouts"),
                "approvalLayouts": format!("{base}/describe/approvalLayouts"),
                "listviews": format!("{base}/listviews"),
                "quickActions": format!("{base}/quickActions"),
            });
            entry.insert("urls".to_owned(), urls);
            entry
        }
    };
    entry.values_mut().for_each(|value| localise(value, version, ""));
    Value::Object(entry)
}

fn described(data: &Data, object: &Object, version: &str, url: &str) -> Map<String, Value> {
    let mut document = match &object.recorded {
        Some(recorded) => recorded.clone(),
        None => built_in(data, object, version, url),
    };
    document.values_mut().for_each(|value| localise(value, version, url));
    let fields: Vec<Value> =
        object.visible().map(|(_, field)| Value::Object(field.describe.clone())).collect();
    document.insert("fields".to_owned(), fields.into());
    document
}

fn built_in(data: &Data, object: &Object, version: &str, url: &str) -> Map<String, Value> {
    let name = &object.name;
    let base = format!("/services/data/{version}/sobjects/{name}");
    let mut document = flags(object);
    for key in [
        "defaultImplementation",
        "extendedBy",
        "extendsInterfaces",
        "implementedBy",
        "implementsInterfaces",
        "listviewable",
        "lookupLayoutable",
        "networkScopeFieldName",
    ] {
        document.insert(key.to_owned(), Value::Null);
    }
    document.insert("actionOverrides".to_owned(), json!([]));
    document.insert("namedLayoutInfos".to_owned(), json!([]));
    document.insert("compactLayoutable".to_owned(), object.queryable.into());
    document.insert("searchLayoutable".to_owned(), object.queryable.into());
    document.insert("childRelationships".to_owned(), children(data, name).into());
    document.insert(
        "recordTypeInfos".to_owned(),
        json!([{
            "active": true,
            "available": true,
            "defaultRecordTypeMapping": true,
            "developerName": "Master",
            "master": true,
            "name": "Master",
            "recordTypeId": "012000000000000AAA",
            "urls": {"layout": format!("{base}/describe/layouts/012000000000000AAA")},
        }]),
    );
    document.insert(
        "supportedScopes".to_owned(),
        json!([
            {"label": format!("All {}", object.plural.to_lowercase()), "name": "everything"},
            {"label": format!("My {}", object.plural.to_lowercase()), "name": "mine"},
        ]),
    );
    document.insert(
        "urls".to_owned(),
        json!({
            "sobject": base,
            "describe": format!("{base}/describe"),
            "rowTemplate": format!("{base}/{{ID}}"),
            "layouts": format!("{base}/describe/layouts"),
            "compactLayouts": format!("{base}/describe/compactLayouts"),
            "approvalLayouts": format!("{base}/describe/approvalLayouts"),
            "defaultValues": format!("{base}/defaultValues?recordTypeId&fields"),
            "listviews": format!("{base}/listviews"),
            "quickActions": format!("{base}/quickActions"),
            "uiDetailTemplate": format!("{url}/{{ID}}"),
            "uiEditTemplate": format!("{url}/{{ID}}/e"),
            "uiNewRecord": format!("{url}/{}/e", object.prefix),
        }),
    );
    document
}

/// The fields of all objects that refer to this one.
fn children(data: &Data, parent: &str) -> Vec<Value> {
    data.objects()
        .flat_map(|child| child.visible().map(move |(_, field)| (child, field)))
        .filter(|(_, field)| field.parent().is_some_and(|(_, to)| to == parent))
        .map(|(child, field)| {
            json!({
                "cascadeDelete": false,
                "childSObject": child.name,
                "deprecatedAndHidden": false,
                "field": field.name,
                "junctionIdListNames": [],
                "junctionReferenceTo": [],
                "relationshipName": if field.name == format!("{parent}Id") { Some(child.plural.as_str()) } else { None },
                "restrictedDelete": false,
            })
        })
        .collect()
}

/// A recorded document names the version and host of the org it was recorded from; ours go in their place.
fn localise(value: &mut Value, version: &str, url: &str) {
    match value {
        Value::String(text) => {
            if let Some(rest) = text.strip_prefix("/services/data/").and_then(|rest| rest.split_once('/')) {
                *text = format!("/services/data/{version}/{}", rest.1);
            } else if let Some((_, path)) = text.split_once(".my.salesforce.com/")
                && text.starts_with("https://")
            {
                *text = format!("{url}/{path}");
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| localise(value, version, url)),
        Value::Object(map) => map.values_mut().for_each(|value| localise(value, version, url)),
        _ => {}
    }
}
