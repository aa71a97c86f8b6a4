//! Names of things, each a type of its own, so that a stream is never passed where a partition belongs.

use std::{borrow::Borrow, fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Default for $name {
            /// No name.
            fn default() -> Self {
                Self("".into())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// Whose data it is. Every key in a registry starts with it.
    TenantId
}
name! {
    /// A tenant's configured use of a connector, such as `acme-crm`.
    ConnectionName
}
name! {
    /// A kind of outside system and one method of reaching it, such as `salesforce/rest`.
    ConnectorId
}
name! {
    /// A named collection of records of one shape, such as `Contact`.
    StreamId
}
name! {
    /// An independent part of a stream: a channel, a mailbox, a window of time. Stable, and it speaks.
    PartitionId
}
name! {
    /// One run of a connection.
    RunId
}
