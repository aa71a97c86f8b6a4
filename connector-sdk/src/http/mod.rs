//! The resilient HTTP client.
