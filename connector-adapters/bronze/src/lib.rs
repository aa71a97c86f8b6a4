//! Bronze sinks: JSONL and Parquet with an exclusive, fenced commit log.
