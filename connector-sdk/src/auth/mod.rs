//! Token sources.

mod client_credentials;
mod endpoint;
mod fixed;
mod jwt;
mod refresh;
mod token;

pub use client_credentials::ClientCredentials;
pub use endpoint::{ClientAuth, TokenEndpoint};
pub use fixed::StaticToken;
pub use jwt::JwtBearer;
pub use refresh::RefreshToken;
pub use token::{Token, TokenSource};
