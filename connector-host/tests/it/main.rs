//! What the host promises, from outside.

mod template;
