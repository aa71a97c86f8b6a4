//! The connector against the rules that every connector keeps, in each of the three ways to follow a mailbox.

mod condstore;
mod door;
mod plain;
mod post;
mod qresync;
