//! The receiver under the run engine, called over real sockets.
