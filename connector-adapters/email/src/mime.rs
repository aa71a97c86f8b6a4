//! What is in a mail: from its bytes to the fields of a record.
