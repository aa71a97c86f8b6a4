//! One field of an object: what queries need to know of it, and its entry in the describe.

use serde_json::{Map, Value, json};

/// How a field's values compare and are written. Coarser than the described type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Ids and references: compared exactly, in 15 or 18 characters.
    Id,
    Boolean,
    /// Compared without regard to case.
    Text,
    Number,
    Date,
    Datetime,
    /// Made of other fields when it is read; cannot be written.
    Compound,
}

impl Kind {
    /// By the described type. An unknown type is text.
    pub(super) fn of(described: &str) -> Self {
        match described {
            "id" | "reference" => Self::Id,
            "boolean" => Self::Boolean,
            "double" | "currency" | "percent" | "int" | "long" => Self::Number,
            "date" => Self::Date,
            "datetime" => Self::Datetime,
            "address" | "location" => Self::Compound,
            _ => Self::Text,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Its entry in `fields` of the describe, complete.
    pub(super) describe: Map<String, Value>,
}

impl Field {
    /// A field that may be null and written, of a described type with that type's usual flags.
    pub(super) fn new(name: &str, label: &str, described: &str) -> Self {
        let kind = Kind::of(described);
        let mut field = Self { name: name.to_owned(), kind, describe: blank() };
        let soap = match described {
            "id" | "reference" => "tns:ID",
            "boolean" => "xsd:boolean",
            "int" => "xsd:int",
            "double" | "currency" | "percent" => "xsd:double",
            "date" => "xsd:date",
            "datetime" => "xsd:dateTime",
            "address" => "urn:address",
            _ => "xsd:string",
        };
        field.put("name", name).put("label", label).put("type", described).put("soapType", soap);
        field.put("custom", name.ends_with("__c"));
        match kind {
            Kind::Id => {
                field.put("length", 18).put("byteLength", 18);
            }
            Kind::Boolean => {
                field.put("aggregatable", false).put("defaultValue", false).put("defaultedOnCreate", true);
                field.put("nillable", false);
            }
            Kind::Number if described == "int" => {
                field.put("digits", 8);
            }
            Kind::Number => {
                field.put("groupable", false).put("precision", 18);
            }
            Kind::Datetime => {
                field.put("groupable", false);
            }
            Kind::Compound => {
                field.put("aggregatable", false).put("groupable", false).put("sortable", false);
                field.put("queryByDistance", true).put("createable", false).put("updateable", false);
            }
            Kind::Text | Kind::Date => {}
        }
        field
    }

    /// Reads one entry of a recorded describe.
    pub(super) fn recorded(describe: &Value) -> Option<Self> {
        let describe = describe.as_object()?.clone();
        let name = describe.get("name")?.as_str()?.to_owned();
        let kind = Kind::of(describe.get("type")?.as_str()?);
        Some(Self { name, kind, describe })
    }

    pub(super) fn length(mut self, characters: u32) -> Self {
        self.put("length", characters).put("byteLength", characters * 3);
        if self.describe["type"] == "textarea" {
            self.put("extraTypeInfo", "plaintextarea");
            if characters > 255 {
                for flag in ["aggregatable", "filterable", "groupable", "sortable"] {
                    self.put(flag, false);
                }
            }
        }
        self
    }

    pub(super) fn number(mut self, precision: u32, scale: u32) -> Self {
        self.put("precision", precision).put("scale", scale);
        self
    }

    pub(super) fn required(mut self) -> Self {
        self.put("nillable", false).put("permissionable", false);
        self
    }

    /// Written by the org only, and never null.
    pub(super) fn system(mut self) -> Self {
        for flag in ["createable", "updateable", "nillable", "permissionable"] {
            self.put(flag, false);
        }
        self.put("defaultedOnCreate", true);
        self
    }

    /// Filled in by the org where a new row does not name it.
    pub(super) fn defaulted(mut self) -> Self {
        self.put("defaultedOnCreate", true);
        self
    }

    /// Written by the org only, but may be null.
    pub(super) fn read_only(mut self) -> Self {
        self.put("createable", false).put("updateable", false).put("permissionable", false);
        self
    }

    pub(super) fn reference(mut self, to: &str, relationship: &str) -> Self {
        self.put("referenceTo", json!([to])).put("relationshipName", relationship);
        self
    }

    pub(super) fn picklist(mut self, values: &[&str]) -> Self {
        let values: Vec<_> = values
            .iter()
            .map(|value| {
                json!({"active": true, "defaultValue": false, "label": value, "validFor": null, "value": value})
            })
            .collect();
        self.put("picklistValues", values);
        self
    }

    pub(super) fn part_of(mut self, compound: &str) -> Self {
        self.put("compoundFieldName", compound);
        self
    }

    pub(super) fn named(mut self) -> Self {
        self.put("nameField", true).put("permissionable", false);
        self
    }

    /// Found by its value, which no other row has.
    pub(super) fn external_id(mut self) -> Self {
        for flag in ["externalId", "idLookup", "unique"] {
            self.put(flag, true);
        }
        self
    }

    /// Whether a row can be named by this field instead of its id.
    pub(super) fn is_external_id(&self) -> bool {
        self.says("externalId")
    }

    pub(super) fn is_unique(&self) -> bool {
        self.says("unique")
    }

    /// Whether a new row has to name it.
    pub(super) fn is_required(&self) -> bool {
        self.flag("createable") && !self.flag("nillable") && !self.says("defaultedOnCreate")
    }

    pub(super) fn is_createable(&self) -> bool {
        self.flag("createable")
    }

    pub(super) fn is_updateable(&self) -> bool {
        self.flag("updateable")
    }

    /// The most characters a value may have; 0: no limit.
    pub(super) fn longest(&self) -> usize {
        let length = self.describe.get("length").and_then(Value::as_u64).unwrap_or_default();
        usize::try_from(length).unwrap_or_default()
    }

    fn says(&self, key: &str) -> bool {
        self.describe.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn filterable(&self) -> bool {
        self.flag("filterable")
    }

    pub(super) fn sortable(&self) -> bool {
        self.flag("sortable")
    }

    /// The relationship by which a query reaches the parent (`Account` of `AccountId`) and the parent's type.
    /// A polymorphic reference has no single parent type and is not followed.
    pub(super) fn parent(&self) -> Option<(&str, &str)> {
        let relationship = self.describe.get("relationshipName")?.as_str()?;
        match self.describe.get("referenceTo")?.as_array()?.as_slice() {
            [to] => Some((relationship, to.as_str()?)),
            _ => None,
        }
    }

    fn flag(&self, key: &str) -> bool {
        self.describe.get(key).and_then(Value::as_bool).unwrap_or(true)
    }

    fn put(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.describe.insert(key.to_owned(), value.into());
        self
    }
}

/// The keys that every field of a describe has (v48 to v52, as recorded), at the values most fields have.
fn blank() -> Map<String, Value> {
    let mut entry = Map::new();
    for key in [
        "aiPredictionField",
        "autoNumber",
        "calculated",
        "cascadeDelete",
        "caseSensitive",
        "custom",
        "defaultedOnCreate",
        "dependentPicklist",
        "deprecatedAndHidden",
        "displayLocationInDecimal",
        "encrypted",
        "externalId",
        "formulaTreatNullNumberAsZero",
        "highScaleNumber",
        "htmlFormatted",
        "idLookup",
        "nameField",
        "namePointing",
        "polymorphicForeignKey",
        "queryByDistance",
        "restrictedDelete",
        "restrictedPicklist",
        "searchPrefilterable",
        "unique",
        "writeRequiresMasterRead",
    ] {
        entry.insert(key.to_owned(), false.into());
    }
    for key in [
        "aggregatable",
        "createable",
        "filterable",
        "groupable",
        "nillable",
        "permissionable",
        "sortable",
        "updateable",
    ] {
        entry.insert(key.to_owned(), true.into());
    }
    for key in [
        "calculatedFormula",
        "compoundFieldName",
        "controllerName",
        "defaultValue",
        "defaultValueFormula",
        "extraTypeInfo",
        "filteredLookupInfo",
        "inlineHelpText",
        "mask",
        "maskType",
        "referenceTargetField",
        "relationshipName",
        "relationshipOrder",
    ] {
        entry.insert(key.to_owned(), Value::Null);
    }
    for key in ["byteLength", "digits", "length", "precision", "scale"] {
        entry.insert(key.to_owned(), 0.into());
    }
    for key in ["picklistValues", "referenceTo"] {
        entry.insert(key.to_owned(), json!([]));
    }
    entry
}
