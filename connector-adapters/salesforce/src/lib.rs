//! Salesforce: the REST query door.
