//! What a host service embeds: the run engine, the registries and the lifecycle of connections.
